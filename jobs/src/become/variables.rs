//! Variables of a command's environment, plain and secret ones.

use std::collections::BTreeMap;

use dojob::{Command, Context, Result, Secret};

/// Variables of a command's environment; what is secret is handed on so that no list of processes shows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variables<'a> {
    pub(super) plain: Option<&'a BTreeMap<String, String>>,
    pub(super) secret: Option<&'a BTreeMap<String, Secret<String>>>,
}

impl<'a> Variables<'a> {
    pub(crate) fn new(
        plain: &'a BTreeMap<String, String>,
        secret: &'a BTreeMap<String, Secret<String>>,
    ) -> Self {
        Variables { plain: Some(plain), secret: Some(secret) }
    }

    /// The command with them.
    pub(crate) fn add_to<'cx>(self, cx: &Context, mut command: Command<'cx>) -> Command<'cx> {
        for (name, value) in self.plain() {
            command = command.env(name, value);
        }
        for (name, value) in self.secret() {
            cx.mask(value);
            command = command.env(name, value.expose());
        }
        command
    }

    /// Refuses what no environment can hold.
    pub(crate) fn validate(self) -> Result<()> {
        for name in self.names() {
            anyhow::ensure!(
                !name.is_empty() && !name.contains(['=', '\0']),
                "`{}` is no name of a variable: it must not be empty, nor contain `=` or a NUL byte",
                name.escape_debug()
            );
        }
        let mut values =
            self.plain().chain(self.secret().map(|(name, value)| (name, value.expose().as_str())));
        if let Some((name, _)) = values.find(|(_, value)| value.contains('\0')) {
            anyhow::bail!("the variable {name} must not contain a NUL byte");
        }
        if let Some((name, _)) = self.secret().find(|(name, _)| self.plain().any(|(plain, _)| plain == *name))
        {
            anyhow::bail!("the variable {name} is given twice, once as a secret");
        }
        Ok(())
    }

    pub(super) fn plain(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.plain.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn secret(self) -> impl Iterator<Item = (&'a str, &'a Secret<String>)> {
        self.secret.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.plain().map(|(name, _)| name).chain(self.secret().map(|(name, _)| name))
    }
}

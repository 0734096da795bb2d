//! Commands as another user: which tool can do it, and how it is called so that it never asks for a password.
//!
//! Root goes down by `setpriv`, `runuser` or `su`, whichever is there; others go by `sudo`, `doas` or `run0`. A tool that
//! will not do it is found out before the command is started, since its failure could not be told from that of the command.

mod method;
mod variables;
mod way;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use dojob::{Command, CommandError, Context, CouldNotFindOut, OrCouldNotFindOut, Result};
use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uzers::os::unix::UserExt;

pub use self::method::BecomeMethod;
pub(crate) use self::variables::Variables;
use self::way::{Account, Way};
use crate::programs;

/// Which user a command runs as, and how it gets there.
///
/// In a configuration file it is the name of a user, or a name and a method: `become: postgres`,
/// `become { user: postgres, method: sudo }`. No method ever asks for a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "Written")]
pub struct Become {
    /// The user's name.
    pub user: String,
    /// The tool that changes users. Unless given: none where that user is at work already; for root `setpriv`, `runuser`
    /// or `su`; for others the first of `sudo`, `doas` and `run0` that is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<BecomeMethod>,
}

/// How it may be written down.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand, for the sake of the messages")]
enum Written {
    /// The user's name.
    User(String),
    /// The user's name and the tool that changes users.
    UserAndMethod(Fields),
}

/// Another user, and the tool with which to become that user.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserAndMethod")]
struct Fields {
    /// The user's name.
    user: String,
    /// The tool that changes users; unless given, the one that fits.
    #[serde(default)]
    method: Option<BecomeMethod>,
}

impl<'de> Deserialize<'de> for Become {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Become;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a user, or an object with `user` and `method`")
            }

            fn visit_str<E: serde::de::Error>(self, user: &str) -> Result<Become, E> {
                let wanted = Become::new(user);
                wanted.validate().map_err(E::custom)?;
                Ok(wanted)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Become, A::Error> {
                let Fields { user, method } = Fields::deserialize(MapAccessDeserializer::new(map))?;
                let wanted = Become { user, method };
                wanted.validate().map_err(serde::de::Error::custom)?;
                Ok(wanted)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A command for `argv` as the user wanted, or as the one at work where nobody is.
///
/// # Errors
/// When `argv` is empty, or as [`Become::command`].
pub(crate) fn command<'cx, A: AsRef<OsStr>>(
    cx: &'cx Context,
    wanted: Option<&Become>,
    argv: &[A],
    variables: Variables<'_>,
) -> Result<Command<'cx>> {
    match wanted {
        Some(wanted) => wanted.way(cx, variables)?.command(cx, argv, variables),
        None => Way::Directly.command(cx, argv, variables),
    }
}

impl Become {
    /// The user of this name, by the method that fits.
    pub fn new(user: impl Into<String>) -> Self {
        Become { user: user.into(), method: None }
    }

    /// By this method.
    #[must_use]
    pub fn method(mut self, method: BecomeMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// A command for `argv`, a program and its arguments, as this user. HOME, USER and LOGNAME are that user's;
    /// whether further variables of this process are handed on is up to the method.
    ///
    /// # Errors
    /// When the name cannot be that of a user, there is no such user, the tool is missing, or it will not change users
    /// without a password. All but the first are [`CouldNotFindOut`], so that a check can hand them on.
    pub fn command<'cx, A: AsRef<OsStr>>(&self, cx: &'cx Context, argv: &[A]) -> Result<Command<'cx>> {
        command(cx, Some(self), argv, Variables::default())
    }

    /// Refuses what no tool takes for the name of a user.
    pub(crate) fn validate(&self) -> Result<()> {
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && !":/,#%\\\"'`$();&|<>*?".contains(c);
        anyhow::ensure!(
            !self.user.is_empty() && !self.user.starts_with('-') && self.user.chars().all(fits),
            "`{}` is no name of a user to become: a name such as `postgres` is wanted",
            self.user.escape_debug()
        );
        Ok(())
    }

    /// The user's number.
    ///
    /// # Errors
    /// When there is no such user.
    pub(crate) fn uid(&self, cx: &Context) -> Result<u32> {
        Ok(self.account(cx)?.uid)
    }

    fn way(&self, cx: &Context, variables: Variables<'_>) -> Result<Way> {
        self.validate()?;
        let account = self.account(cx)?;
        let own = geteuid().as_raw();
        if account.uid == own && self.method.is_none() {
            return Ok(Way::Directly);
        }
        let way = Way::choose(self.method, own == 0, account, programs::find)?;
        self.try_out(cx, &way, variables)?;
        Ok(way)
    }

    /// Whether the lists of this machine have no such user. A service of names may have one.
    pub(crate) fn is_unknown(&self) -> bool {
        uzers::get_user_by_name(&self.user).is_none()
    }

    /// The user's entry, also where only a service of names knows it, which a static binary cannot ask itself.
    fn account(&self, cx: &Context) -> Result<Account> {
        if let Some(user) = uzers::get_user_by_name(&self.user) {
            return Ok(Account {
                user: self.user.clone(),
                uid: user.uid(),
                gid: user.primary_group_id(),
                home: user.home_dir().as_os_str().to_owned(),
            });
        }
        let what = format!("how to become {}", self.user);
        if programs::find("getent").is_some() {
            let found = cx
                .command("getent")
                .args(["passwd", "--", &self.user])
                .quiet()
                .output()
                .or_could_not_find_out(&what)?;
            if let Some(account) = found.text().lines().find_map(|line| Account::from_line(&self.user, line))
            {
                return Ok(account);
            }
        }
        let hint = format!("there is no user `{}`; create it first, by a job that this one needs", self.user);
        Err(CouldNotFindOut::new(what).because(hint).into())
    }

    /// Whether the tool does it at all and hands on these variables, asked once a run.
    fn try_out(&self, cx: &Context, way: &Way, variables: Variables<'_>) -> Result<()> {
        /// Who has become whom in this run.
        #[derive(Default)]
        struct TriedOut(Mutex<BTreeSet<Vec<OsString>>>);

        let words = way.call(&["true"], variables)?;
        let tried = cx.handles().get_or_try_put(|| Ok::<_, anyhow::Error>(TriedOut::default()))?;
        if tried.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&words) {
            return Ok(());
        }
        match way.command(cx, &["true"], variables)?.quiet().run() {
            Ok(_) => {
                tried.0.lock().unwrap_or_else(PoisonError::into_inner).insert(words);
                Ok(())
            }
            Err(error @ CommandError::Stopped { .. }) => Err(error.into()),
            Err(error) => {
                let error = anyhow::Error::new(error).context(way.hint());
                Err(CouldNotFindOut::new(format!("how to become {}", self.user)).because(error).into())
            }
        }
    }
}

impl From<&str> for Become {
    fn from(user: &str) -> Self {
        Become::new(user)
    }
}

impl fmt::Display for Become {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_or_a_name_and_a_method_is_read_and_written() {
        let read = |value| serde_json::from_value::<Become>(value);
        assert_eq!(read(json!("rosa")).unwrap(), Become::new("rosa"));
        let sudo = Become::new("rosa").method(BecomeMethod::Sudo);
        assert_eq!(read(json!({"user": "rosa", "method": "sudo"})).unwrap(), sudo);
        assert_eq!(read(serde_json::to_value(&sudo).unwrap()).unwrap(), sudo);
        assert_eq!(read(json!({"user": "rosa"})).unwrap(), Become::new("rosa"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let error = |value| serde_json::from_value::<Become>(value).unwrap_err().to_string();
        for name in ["", "-u", "a b", "a\0", "a:b", "../x", "a\n"] {
            let said = error(json!(name));
            assert!(
                said.ends_with("is no name of a user to become: a name such as `postgres` is wanted"),
                "{said}"
            );
            assert_eq!(error(json!({"user": name})), said);
        }
        assert!(error(json!(7)).contains("the name of a user, or an object with `user` and `method`"));
        assert!(
            error(json!({"user": "a", "method": "magic"}))
                .contains("unknown variant `magic`, expected one of `sudo`")
        );
        assert!(error(json!({"user": "a", "how": "sudo"})).contains("unknown field `how`"));
        assert!(error(json!({"method": "sudo"})).contains("missing field `user`"));
    }
}

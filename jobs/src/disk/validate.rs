//! A command that has to accept a new file before it takes the old one's place.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dojob::{CommandError, Context, Permanent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inspect::{self, Fingerprint, Found, Links, Meta};
use super::mode::Mode;

/// What stands for the new file.
const FILE: &str = "{}";

/// A command that has to accept a new file: program and arguments one by one, no shell. `{}` stands for where the file
/// is, and has to be there. The command must not change the file: then it is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Validate(Vec<String>);

impl Validate {
    /// This program with these arguments: `["visudo", "-cf", "{}"]`.
    pub fn new<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        Validate(command.into_iter().map(Into::into).collect())
    }

    /// # Errors
    /// When there is no program, or it is not told of the file.
    pub(crate) fn validate(&self) -> Result<()> {
        let program = self.0.first().is_some_and(|program| !program.is_empty() && !program.contains(FILE));
        ensure!(program, "`validate` begins with a program");
        ensure!(
            self.0.iter().any(|word| word.contains(FILE)),
            "`validate` needs an argument with `{{}}`, which stands for the new file"
        );
        ensure!(!self.0.iter().any(|word| word.contains('\0')), "`validate` must not contain a NUL byte");
        Ok(())
    }

    /// Asks the command about the file.
    ///
    /// # Errors
    /// When it does not accept it, cannot be run, or has changed the file, which then is no longer the one that is wanted.
    pub(crate) fn accept(&self, cx: &Context, file: &Path) -> Result<()> {
        self.validate()?;
        let [program, arguments @ ..] = &self.0[..] else { return Ok(()) };
        // It may start elsewhere than we count from.
        let file = std::path::absolute(file)?;
        let arguments = arguments.iter().map(|word| with_file(word, &file));
        let why = "the new file is not accepted";
        let before = State::of(cx, &file)?;
        match cx.command(program).args(arguments).run() {
            Ok(_) if State::of(cx, &file)? == before => Ok(()),
            Ok(_) => {
                let changed = format!("`{program}` changed the new file, which it is to look at only");
                Err(Permanent::new(why).because(anyhow::Error::msg(changed)).into())
            }
            // What it says of the same file another time is the same.
            Err(error @ CommandError::Failed(_)) if !cx.is_cancelled() => {
                Err(Permanent::new(why).because(error).into())
            }
            Err(error) => Err(anyhow::Error::new(error).context(why)),
        }
    }
}

/// All of a file that a command must not change.
#[derive(PartialEq, Eq)]
struct State {
    id: (u64, u64),
    mode: Mode,
    owner: (u32, u32),
    content: Fingerprint,
}

impl State {
    /// `None` where there is no file any more.
    fn of(cx: &Context, path: &Path) -> Result<Option<Self>> {
        let Found::File(mut file) = inspect::open(path, Links::Stay)? else { return Ok(None) };
        let Meta { id, mode, uid, gid, .. } = file.meta;
        let content = file.digest(cx).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(Some(State { id, mode, owner: (uid, gid), content }))
    }
}

/// The word with the file's path, which need not be a text, in place of each `{}`.
fn with_file(word: &str, file: &Path) -> OsString {
    let parts: Vec<_> = word.split(FILE).map(str::as_bytes).collect();
    OsString::from_vec(parts.join(file.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stands_where_it_is_wanted() {
        assert_eq!(with_file("{}", Path::new("/a")), "/a");
        assert_eq!(with_file("--file={},{}", Path::new("/a")), "--file=/a,/a");
        assert_eq!(with_file("-c", Path::new("/a")), "-c");
    }

    #[test]
    fn a_command_that_is_not_told_of_the_file_is_refused() {
        let error = |words: &[&str]| Validate::new(words.iter().copied()).validate().unwrap_err().to_string();
        assert_eq!(error(&[]), "`validate` begins with a program");
        assert_eq!(error(&["", "{}"]), "`validate` begins with a program");
        assert_eq!(error(&["{}"]), "`validate` begins with a program");
        assert_eq!(
            error(&["visudo", "-c"]),
            "`validate` needs an argument with `{}`, which stands for the new file"
        );
        assert_eq!(error(&["visudo", "{}\0"]), "`validate` must not contain a NUL byte");
        assert!(Validate::new(["visudo", "-cf", "{}"]).validate().is_ok());
    }
}

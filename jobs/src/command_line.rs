//! Commands as people write them: a list of words, which no shell touches, or a line for `/bin/sh`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use dojob::{Command, CommandOutput, Context, CouldNotFindOut, OrCouldNotFindOut, ResultText};
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::r#become::{self, Become, Variables};
use crate::disk::path;

/// How much of a command is shown in the name of a job.
const SHOWN: usize = 80;

/// How long a command may take that is only asked, unless somebody says otherwise.
pub(crate) const ASKING: Duration = Duration::from_secs(60);
/// With these a shell says that it could not start something.
const NOT_STARTED: [i32; 2] = [126, NO_SUCH_PROGRAM];
/// With this one, that there is no such program.
const NO_SUCH_PROGRAM: i32 = 127;

/// A command: a list of a program and its arguments, which reach it as they are, or a line for `/bin/sh -c`.
///
/// `["rm", "-r", "/srv/old files"]`, or `rm -r "/srv/old files"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandLine {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments; the shell has no part in it.
    Words(Vec<String>),
}

impl CommandLine {
    /// The command as that user, with these variables.
    ///
    /// # Errors
    /// When it is none, or the user cannot be become.
    pub(crate) fn command<'cx>(
        &self,
        cx: &'cx Context,
        user: Option<&Become>,
        variables: Variables<'_>,
    ) -> Result<Command<'cx>> {
        self.validate()?;
        match (self, user) {
            (CommandLine::Shell(line), None) => Ok(variables.add_to(cx, cx.shell(line))),
            (CommandLine::Shell(line), Some(_)) => {
                r#become::command(cx, user, &["/bin/sh", "-c", line], variables)
            }
            (CommandLine::Words(words), _) => r#become::command(cx, user, words, variables),
        }
    }

    /// Refuses what no system could start.
    pub(crate) fn validate(&self) -> Result<()> {
        let (first, words) = match self {
            CommandLine::Shell(line) => (line.trim(), std::slice::from_ref(line)),
            CommandLine::Words(words) => (words.first().map_or("", String::as_str), words.as_slice()),
        };
        ensure!(!first.is_empty(), "a command must not be empty");
        ensure!(!words.iter().any(|word| word.contains('\0')), "a command must not contain a NUL byte");
        Ok(())
    }
}

/// What a command printed, for those who are handed it: without the line breaks at its end.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Printed {
    stdout: ResultText,
    stderr: ResultText,
}

impl From<&CommandOutput> for Printed {
    fn from(output: &CommandOutput) -> Self {
        Printed { stdout: (&output.stdout).into(), stderr: (&output.stderr).into() }
    }
}

/// What a command says that was asked whether something is so.
pub(crate) enum Answer {
    Yes(CommandOutput),
    /// Why not, by the last line that it printed.
    No(String),
}

/// Lets a command say whether something is so. "No" is an exit code in `no`, or from 1 to 125.
///
/// # Errors
/// [`CouldNotFindOut`] when it says anything else, or nothing, since it could not be started or was ended.
pub(crate) fn ask(
    line: &CommandLine,
    command: Command<'_>,
    no: Option<&[i32]>,
    what: &str,
) -> Result<Answer> {
    let output = command.quiet().output().or_could_not_find_out(what)?;
    let is_no = |code: i32| match no {
        Some(codes) => codes.contains(&code),
        None => !NOT_STARTED.contains(&code) && code < 128,
    };
    match output.status.code() {
        Some(0) => Ok(Answer::Yes(output)),
        Some(code) if is_no(code) => {
            let silent = || format!("`{line}` ended with exit status {code}");
            Ok(Answer::No(output.excerpt().unwrap_or_else(silent)))
        }
        code => {
            let ended = code.map_or_else(|| output.status.to_string(), |code| format!("exit status {code}"));
            let said = output.excerpt().map(|said| format!(": {said}")).unwrap_or_default();
            let why = format!("`{line}` ended with {ended}{said}");
            let error = CouldNotFindOut::new(what);
            Err(match output.status.code() {
                Some(NO_SUCH_PROGRAM) => error.because(NoSuchProgram(why)),
                _ => error.because(why),
            }
            .into())
        }
    }
}

/// A shell has not found the program.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoSuchProgram(String);

/// On one line, cut where it is long.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = match self {
            CommandLine::Shell(line) => line.split_whitespace().collect::<Vec<_>>().join(" "),
            CommandLine::Words(words) => words.join(" ").replace(char::is_control, " "),
        };
        match whole.char_indices().nth(SHOWN) {
            Some((cut, _)) => write!(f, "{}…", &whole[..cut]),
            None => f.write_str(&whole),
        }
    }
}

impl From<&str> for CommandLine {
    fn from(line: &str) -> Self {
        CommandLine::Shell(line.to_owned())
    }
}

impl From<String> for CommandLine {
    fn from(line: String) -> Self {
        CommandLine::Shell(line)
    }
}

impl<S: Into<String>> From<Vec<S>> for CommandLine {
    fn from(words: Vec<S>) -> Self {
        CommandLine::Words(words.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for CommandLine {
    fn from(words: [S; N]) -> Self {
        CommandLine::Words(words.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = CommandLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command: a list of words, or a line for the shell")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<CommandLine, E> {
                Ok(CommandLine::from(line))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, words: A) -> Result<CommandLine, A::Error> {
                let words = Vec::<Word>::deserialize(SeqAccessDeserializer::new(words))?;
                Ok(CommandLine::Words(words.into_iter().map(|word| word.0).collect()))
            }
        }
        let line = deserializer.deserialize_any(Reader)?;
        line.validate().map_err(de::Error::custom)?;
        Ok(line)
    }
}

/// A word of a command. Numbers and truth values need no quotes in a configuration file.
pub(crate) struct Word(pub(crate) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word: a string or a number")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Word, E> {
                Ok(Word(word.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, word: bool) -> Result<Word, E> {
                Ok(Word(word.to_string()))
            }

            fn visit_i64<E: de::Error>(self, word: i64) -> Result<Word, E> {
                Ok(Word(word.to_string()))
            }

            fn visit_u64<E: de::Error>(self, word: u64) -> Result<Word, E> {
                Ok(Word(word.to_string()))
            }

            fn visit_f64<E: de::Error>(self, word: f64) -> Result<Word, E> {
                Ok(Word(word.to_string()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// For `#[serde(default, deserialize_with)]`: one path or a list of them.
pub(crate) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a path or a list of paths")
        }

        fn visit_str<E: de::Error>(self, path: &str) -> Result<Vec<PathBuf>, E> {
            Ok(vec![path.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, paths: A) -> Result<Vec<PathBuf>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(paths))
        }
    }
    let paths = deserializer.deserialize_any(Reader)?;
    paths.iter().try_for_each(|one| path::validate(one)).map_err(de::Error::custom)?;
    Ok(paths)
}

/// How the value that [`paths`] reads is described in a schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand, for the sake of the messages")]
pub(crate) enum OneOrMany {
    /// One path.
    One(PathBuf),
    /// Several of them.
    Many(Vec<PathBuf>),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_for_the_shell_and_a_list_is_not() {
        let read = |value| serde_json::from_value::<CommandLine>(value).unwrap();
        assert_eq!(read(json!("a  'b c'")), CommandLine::from("a  'b c'"));
        assert_eq!(read(json!(["sleep", 5, 1.5, true])), CommandLine::from(["sleep", "5", "1.5", "true"]));
        for line in [json!("a b"), json!(["a", "b"])] {
            assert_eq!(serde_json::to_value(read(line.clone())).unwrap(), line);
        }
    }

    #[test]
    fn what_nobody_can_start_is_refused() {
        let error = |value| serde_json::from_value::<CommandLine>(value).unwrap_err().to_string();
        for value in [json!(""), json!(" \n"), json!([]), json!([""])] {
            assert_eq!(error(value), "a command must not be empty");
        }
        for value in [json!("a\0"), json!(["a", "\0"])] {
            assert_eq!(error(value), "a command must not contain a NUL byte");
        }
        assert!(error(json!({})).ends_with("expected a command: a list of words, or a line for the shell"));
        assert!(error(json!([[]])).ends_with("expected a word: a string or a number"));
    }

    #[test]
    fn it_is_shown_on_one_short_line() {
        assert_eq!(CommandLine::from("set -e\n  make\tall").to_string(), "set -e make all");
        assert_eq!(CommandLine::from(["printf", "a\nb  c"]).to_string(), "printf a b  c");
        let long = CommandLine::from("ä".repeat(100)).to_string();
        assert_eq!(long, "ä".repeat(80) + "…");
    }
}

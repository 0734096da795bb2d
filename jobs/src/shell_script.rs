//! A script or a program that runs every time.
//!
//! Knows how it is started; not whether there is anything to do for it. What can be checked is better a
//! [`Command`](crate::Command).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dojob::{Context, Permanent, RunOnlyJob};
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::command_line::{Printed, Word};
use crate::disk::path;
use crate::programs;

/// Runs a script or a program, every time. It fails when that ends with another exit code than 0; all that it prints goes
/// to the log.
///
/// Its result: `stdout`, `stderr` and `exit_code`, what was printed as texts without the line breaks at their end; of more than
/// 1 MiB the beginning and the end.
///
/// ```
/// # use dojob_jobs::ShellScript;
/// let job = ShellScript::new("uname").args(["-a"]);
/// let job = ShellScript::new("./deploy.sh").working_directory("/srv/app");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-result" = { "stdout": false, "stderr": false, "exit_code": false }))]
pub struct ShellScript {
    /// A file that can be executed, or the name of a program on PATH: `/srv/app/deploy.sh`, `./deploy.sh`, `uname`. A name
    /// without a `/` is looked for on PATH first, and then in the working directory. A relative path counts from there.
    #[serde(deserialize_with = "path::named")]
    pub script_path: PathBuf,
    /// What it is started with: a list, whose entries reach it as they are, or one text, which is split at white space where
    /// it is not quoted (`-a`, `--name "two words"`), as a shell does it; nothing else that a shell knows is done to it. Unless given, nothing.
    #[serde(default, deserialize_with = "script_args", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Arguments")]
    pub script_args: Vec<String>,
    /// The directory to start it in; unless given, the one in which this program was started.
    #[serde(default, deserialize_with = "path::optional", skip_serializing_if = "Option::is_none")]
    pub working_directory_path: Option<PathBuf>,
}

/// What it hands on.
#[derive(Serialize)]
struct Handed {
    #[serde(flatten)]
    printed: Printed,
    exit_code: Option<i32>,
}

/// How arguments may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand, for the sake of the messages")]
enum Arguments {
    /// One text, split as a shell does it.
    Text(String),
    /// Each on its own.
    List(Vec<String>),
}

fn script_args<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("arguments: a list, or one text that is split as a shell does it")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            split(text).map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Vec<String>, E> {
            Ok(vec![number.to_string()])
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Vec<String>, E> {
            Ok(vec![number.to_string()])
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Vec<String>, E> {
            Ok(vec![number.to_string()])
        }

        fn visit_unit<E: de::Error>(self) -> Result<Vec<String>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, words: A) -> Result<Vec<String>, A::Error> {
            let words = Vec::<Word>::deserialize(SeqAccessDeserializer::new(words))?;
            Ok(words.into_iter().map(|word| word.0).collect())
        }
    }
    let args = deserializer.deserialize_any(Reader)?;
    validate_args(&args).map_err(de::Error::custom)?;
    Ok(args)
}

fn validate_args(args: &[String]) -> Result<()> {
    ensure!(!args.iter().any(|arg| arg.contains('\0')), "`script_args` must not contain a NUL byte");
    Ok(())
}

/// Splits a text at white space, quotes and backslashes minded.
fn split(text: &str) -> Result<Vec<String>> {
    let mut words = shlex::Shlex::new(text);
    let split = words.by_ref().collect();
    ensure!(!words.had_error, "a quote or a backslash at the end of `{text}` has nothing that belongs to it");
    Ok(split)
}

impl ShellScript {
    /// Runs the script or program without arguments.
    pub fn new(script: impl Into<PathBuf>) -> Self {
        ShellScript { script_path: script.into(), script_args: Vec::new(), working_directory_path: None }
    }

    /// With these arguments, after those that it has.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.script_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// In this directory.
    #[must_use]
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.working_directory_path = Some(directory.into());
        self
    }

    /// What is started: a program on PATH, or a file. (The system itself would take a relative path from wherever this
    /// process is.)
    fn program(&self, start: &Path) -> PathBuf {
        let has_slash = self.script_path.as_os_str().as_encoded_bytes().contains(&b'/');
        let on_path =
            !has_slash && self.script_path.to_str().is_some_and(|name| programs::find(name).is_some());
        if on_path {
            return self.script_path.clone();
        }
        let file = start.join(&self.script_path);
        // A name that is nowhere stays a name: the message then says that it is on no PATH.
        if has_slash || file.is_file() { file } else { self.script_path.clone() }
    }
}

impl RunOnlyJob for ShellScript {
    fn name(&self) -> String {
        let words =
            std::iter::once(self.script_path.display().to_string()).chain(self.script_args.iter().cloned());
        format!("ShellScript {}", words.collect::<Vec<_>>().join(" ").replace(char::is_control, " "))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        path::validate_named(&self.script_path)?;
        self.working_directory_path.as_deref().map_or(Ok(()), path::validate)?;
        validate_args(&self.script_args)?;
        let start =
            cx.working_directory().join(self.working_directory_path.as_deref().unwrap_or(Path::new("")));
        let program = self.program(&start);
        let is_line = self.script_path.to_str().is_some_and(|path| path.contains(char::is_whitespace));
        if is_line && !program.is_file() {
            let message = format!(
                "there is no program `{}`; a line for the shell is `script_path: sh`, `script_args: [-c, \"…\"]`, or \
                 the `run` of a `command`",
                self.script_path.display()
            );
            return Err(Permanent::new(message).into());
        }
        ensure!(
            !program.is_file() || programs::is_program(&program),
            "{} cannot be executed; say `chmod +x`, or give it to an interpreter (`script_path: sh`)",
            program.display()
        );
        let output = cx.command(program).args(&self.script_args).directory(start).run()?;
        let printed = Printed::from(&output);
        Ok(cx.set_result(Handed { printed, exit_code: output.status.code() })?)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

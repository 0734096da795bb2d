//! Task types for tests, of every kind and with every sort of argument.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use dojob::{Context, Deps, DummyJob, IntoJob, Job, Result, Retry, RunOnlyJob, Secret, deps};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A file with this text. It is written where it says something else.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextFile {
    /// Where it is, such as `/tmp/motd`.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: String,
}

impl Job for TextFile {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        ensure!(self.path.exists(), "there is no such file");
        let found = std::fs::read_to_string(&self.path)?;
        ensure!(found == self.text, "it says {found:?}");
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(std::fs::write(&self.path, &self.text)?)
    }
}

dojob::task_type!(TextFile, example = "{ name: text_file, args { path: /tmp/motd, text: Welcome! } }");

/// Adds a line to a file, every time, and hands on how many there are.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-result" = { "lines": false, "last": true }))]
pub(crate) struct AddLine {
    /// The file.
    file: PathBuf,
    /// The line.
    line: String,
    /// Whether to fail after that.
    #[serde(default)]
    fail: bool,
}

impl RunOnlyJob for AddLine {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mut text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.extend([self.line.as_str(), "\n"]);
        std::fs::write(&self.file, &text)?;
        cx.set_result(serde_json::json!({ "lines": text.lines().count(), "last": self.line }))?;
        ensure!(!self.fail, "it was to fail");
        Ok(())
    }
}

dojob::task_type!(AddLine);

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// At work.
    Running,
    /// Not at work.
    Stopped,
    Restarted,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span: jiff::SignedDuration = text
            .parse()
            .map_err(|_| de::Error::custom(format!("`{text}` is no span of time, such as `5s`")))?;
        Duration::try_from(span).map(Span).map_err(de::Error::custom)
    }
}

/// Who may enter.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guest {
    /// By what name.
    name: String,
    /// How old.
    #[serde(default)]
    age: Option<u8>,
}

/// A server that listens on a port.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpServer {
    /// Its name, such as `web`.
    name: String,
    /// The port that it listens on.
    port: u16,
    /// How it is to be.
    #[serde(default = "running")]
    state: State,
    /// How long it may take to start.
    #[serde(default)]
    patience: Option<Span>,
    /// How much of the machine it may have.
    #[serde(default)]
    share: Option<f64>,
    /// Whether everybody may see it.
    #[serde(default)]
    public: bool,
    /// Who may enter.
    #[serde(default)]
    guests: Vec<Guest>,
    /// What it is told.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What it needs to be let in.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    password: Option<Secret<String>>,
    /// The user that it runs as.
    #[serde(default)]
    r#become: Option<String>,
}

fn running() -> State {
    State::Running
}

impl Job for HttpServer {
    fn retry(&self) -> Retry {
        Retry::tries(2)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        cx.log(format_args!(
            "{} listens on {} as {}, {:?}",
            self.name,
            self.port,
            self.r#become.as_deref().unwrap_or("nobody"),
            self.password.as_ref().map(Secret::expose),
        ));
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

dojob::task_type!(HttpServer);

/// Runs a command line, every time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct Shell {
    /// The command line.
    line: String,
}

impl RunOnlyJob for Shell {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let output = cx.shell(&self.line).run()?;
        cx.set_result(output.text())?;
        Ok(())
    }
}

dojob::task_type!(Shell, name = "sh");

/// Several files at once.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextFiles {
    /// The directory that they are in.
    directory: PathBuf,
    /// What they are called.
    names: Vec<String>,
}

impl DummyJob for TextFiles {
    fn deps(&self) -> Deps {
        let files = self.names.iter().map(|name| {
            TextFile { path: self.directory.join(name), text: name.clone() }.named(format!("TextFile {name}"))
        });
        let mut all = deps![];
        all.extend(files);
        all
    }
}

dojob::task_type!(TextFiles);

/// Either a text or a list, but not both.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "Unchecked")]
#[schemars(with = "Unchecked")]
pub(crate) struct Choosy(Unchecked);

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    /// A text.
    #[serde(default)]
    text: Option<String>,
    /// A list.
    #[serde(default)]
    list: Option<Vec<String>>,
    /// Both of them.
    #[serde(default)]
    either: Option<Either>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    Text(String),
    List(Vec<String>),
}

impl TryFrom<Unchecked> for Choosy {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        if unchecked.text.is_some() && unchecked.list.is_some() {
            return Err("`text` and `list` cannot both be given".to_owned());
        }
        Ok(Choosy(unchecked))
    }
}

impl RunOnlyJob for Choosy {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

dojob::task_type!(Choosy, name = "choosy");

/// The value of a name in a file of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
pub(crate) struct Owned {
    /// The file.
    path: PathBuf,
    /// What it says.
    value: String,
}

impl Job for Owned {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        let found = std::fs::read_to_string(&self.path).unwrap_or_default();
        ensure!(found == self.value, "it says `{found}`");
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(std::fs::write(&self.path, &self.value)?)
    }
}

dojob::task_type!(Owned);

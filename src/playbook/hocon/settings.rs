//! What is read, and what it is read with beside its own text.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value as Json;

/// What to read.
#[derive(Clone, Debug)]
pub enum Input {
    /// One file.
    File(PathBuf),
    /// Several files as one, in this order: a later value stands over an earlier one, objects merge, and what each file
    /// by itself has under the keys named in [`Settings::joined`] is joined.
    Files(Vec<PathBuf>),
    /// A text under a name, such as what came on standard input; its includes are relative to the working directory.
    Text {
        /// The name that people know it by.
        name: String,
        /// The text; need not be UTF-8 yet.
        text: Vec<u8>,
    },
}

/// What a playbook is read with, beside its own text.
#[derive(Clone, Default)]
pub struct Settings {
    /// Variables that substitutions find after the playbook's own and before the environment: `CWD`, `PLATFORM`,
    /// `TODAY`, `facts`. They are not part of the value.
    pub given: BTreeMap<String, Json>,
    /// The environment, which substitutions find last; always text.
    pub environment: BTreeMap<String, String>,
    /// What stands over the playbook, a later one over an earlier.
    pub overrides: Vec<Override>,
    /// The first names of substitutions whose values are filled in later, such as `item`.
    pub deferred: Vec<String>,
    /// A root key; in a text that has it, the names in [`deferred`](Settings::deferred) mean these values even where the text
    /// defines them itself.
    pub deferred_over: Option<String>,
    /// A root key below which people keep what they substitute: a substitution that forgot it is told so.
    pub variables: Option<String>,
    /// Root keys whose lists are joined over [`Input::Files`], such as `tasks`.
    pub joined: Vec<String>,
    /// Root keys whose list is not to be replaced by a later one of the same file or of what that includes, since what the
    /// first one says would be lost without a word.
    pub once: Vec<String>,
    /// Keys that are not to be left out because of an optional substitution without a value, since that would mean
    /// something else.
    pub kept: Vec<String>,
}

/// Names alone: the environment and what is set may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("given", &self.given.keys())
            .field("overrides", &self.overrides.len())
            .field("joined", &self.joined)
            .finish_non_exhaustive()
    }
}

/// What stands over a playbook, as if it were written at its end.
#[derive(Clone, Debug)]
pub enum Override {
    /// `--set key=value`. A number, `true`, `false`, `null`, and what begins with `[`, `{` or `"` is HOCON; anything
    /// else is text as it stands.
    Set(String),
    /// `--vars FILE`: a HOCON file.
    Vars(PathBuf),
}

impl Settings {
    /// The variables that every playbook is given, `CWD`, `PLATFORM` and `TODAY`, and this process's environment as far
    /// as it is UTF-8.
    pub fn of_process(today: jiff::civil::Date) -> std::io::Result<Settings> {
        let directory = std::env::current_dir()?.to_string_lossy().into_owned();
        let platform = rustix::system::uname().sysname().to_string_lossy().into_owned();
        let given = [("CWD", directory), ("PLATFORM", platform), ("TODAY", today.to_string())];
        let given = given.map(|(name, value)| (name.to_owned(), Json::String(value)));
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Settings {
            given: BTreeMap::from(given),
            environment: environment.collect(),
            overrides: Vec::new(),
            deferred: Vec::new(),
            deferred_over: None,
            variables: None,
            joined: Vec::new(),
            once: Vec::new(),
            kept: Vec::new(),
        })
    }
}

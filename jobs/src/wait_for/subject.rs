//! What can be waited for beside a port or a path: a line, a process, an answer.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::path;
#[cfg(feature = "http")]
use crate::http::{Url, url};
use crate::pattern::Pattern;

/// A line in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineOfFile {
    /// The file. While it is missing, so is the line.
    #[serde(deserialize_with = "path::named")]
    pub file: PathBuf,
    /// What the line contains.
    pub pattern: Pattern,
}

/// A process, or all of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhichProcess {
    /// The one with this number.
    Pid(u32),
    /// The one whose number is in this file; without the file there is none.
    PidFile(PathBuf),
    /// All whose program has this name, as `ps -o comm` shows it. Linux only.
    Name(String),
}

/// An answer by HTTP.
#[cfg(feature = "http")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAnswer {
    /// What is asked for (by GET), with `http://` or `https://`. Redirections are answers and not followed. It may not contain
    /// a password, since it is shown.
    #[serde(deserialize_with = "url::http")]
    pub url: String,
    /// The status codes that are waited for; unless given, 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<u16>>,
}

impl WhichProcess {
    pub(super) fn validate(&self) -> Result<()> {
        match self {
            WhichProcess::Pid(pid) => {
                ensure!(i32::try_from(*pid).is_ok_and(|pid| pid > 0), "{pid} is no number of a process");
                Ok(())
            }
            WhichProcess::PidFile(path) => Ok(path::validate_named(path)?),
            WhichProcess::Name(name) => {
                let fits = !name.is_empty() && !name.contains(['/', '\0', '\n']);
                ensure!(fits, "`{}` is no name of a process: one such as `postgres` is", name.escape_debug());
                Ok(())
            }
        }
    }
}

#[cfg(feature = "http")]
impl HttpAnswer {
    /// An answer of 200 to 299 from this URL.
    pub fn new(url: impl Into<String>) -> Self {
        HttpAnswer { url: url.into(), status: None }
    }

    pub(super) fn validate(&self) -> Result<Url> {
        let url = Url::http(&self.url)?;
        let status = self.status.as_deref().unwrap_or(&[200]);
        ensure!(!status.is_empty(), "`status` must not be empty");
        if let Some(code) = status.iter().find(|code| !(100..=599).contains(*code)) {
            anyhow::bail!("{code} is no status of HTTP: those from 100 to 599 are");
        }
        Ok(url)
    }
}

//! Waiting until something has come to pass: a port, a file, a line in a file, the end of a process, an answer by HTTP.
//!
//! A check is one look, `run` looks again and again.

mod address;
mod probe;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use dojob::{Context, Job, NotAsWanted, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::address::Address;
use self::probe::Patience;
#[cfg(feature = "http")]
pub use self::subject::HttpAnswer;
pub use self::subject::{LineOfFile, WhichProcess};
use crate::disk::path;
#[cfg(feature = "http")]
use crate::http::Url;
use crate::patience::Deadline;
use crate::span::Span;
use crate::validated::validated;

/// Waits until something has come to pass. It is in place when it has; otherwise it looks every `interval` until it has, or
/// `timeout` is over, which is a failure. It is tried once, since a second try would only wait again.
///
/// ```
/// # use dojob_jobs::{Until, WaitFor};
/// # use std::time::Duration;
/// let job = WaitFor::new(Until::PortOpen("127.0.0.1:5432".parse()?)).timeout(Duration::from_secs(30));
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(!remote)]
#[schemars(extend("x-dojob-result" = false))]
pub struct WaitFor {
    /// What is waited for. Example: `until { port_open: "127.0.0.1:5432" }`.
    pub until: Until,
    /// How long to wait at most; unless given, `5 min`.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
    /// How long to wait from one look to the next; unless given, `1s`.
    #[serde(default = "one_second")]
    pub interval: Span,
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Until {
    /// Something accepts connections there: `"127.0.0.1:5432"`, `"[::1]:22"`, `"db.example.com:5432"`.
    PortOpen(Address),
    /// Nothing accepts connections there, or answers at all. A host whose name has no address is not known to be closed.
    PortClosed(Address),
    /// There is something at this path.
    FileExists(PathBuf),
    /// There is nothing at this path.
    FileGone(PathBuf),
    /// The file has a line with this pattern. Example: `line { file: /var/log/app.log, pattern: "ready in \\d+ ms" }`.
    Line(LineOfFile),
    /// There is no such process (any more). Example: `process_gone { name: postgres }`.
    ProcessGone(WhichProcess),
    /// A web server answers. Example: `http { url: "http://localhost:8080/health", status: [200, 204] }`.
    #[cfg(feature = "http")]
    Http(HttpAnswer),
}

validated!(WaitFor);

fn five_minutes() -> Span {
    Duration::from_secs(300).into()
}

fn one_second() -> Span {
    Duration::from_secs(1).into()
}

impl WaitFor {
    /// Waits for this, for 5 minutes at most, and looks every second.
    pub fn new(until: Until) -> Self {
        WaitFor { until, timeout: five_minutes(), interval: one_second() }
    }

    /// Waits no longer.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Looks so often.
    #[must_use]
    pub fn interval(mut self, interval: impl Into<Span>) -> Self {
        self.interval = interval.into();
        self
    }

    fn validate(&self) -> Result<()> {
        ensure!(!self.interval.duration().is_zero(), "`interval` must be longer than no time at all");
        match &self.until {
            Until::FileExists(path) | Until::FileGone(path) => Ok(path::validate(path)?),
            Until::Line(line) => Ok(path::validate_named(&line.file)?),
            Until::ProcessGone(process) => process.validate(),
            #[cfg(feature = "http")]
            Until::Http(http) => http.validate().map(drop),
            Until::PortOpen(_) | Until::PortClosed(_) => Ok(()),
        }
    }

    /// One look: `None` when it has come to pass, otherwise why not. What takes long ends at the deadline.
    fn look(&self, cx: &Context, deadline: &Deadline) -> Result<Option<String>> {
        let start = cx.working_directory();
        match &self.until {
            Until::PortOpen(address) => probe::port_open(address),
            Until::PortClosed(address) => probe::port_closed(address),
            Until::FileExists(path) => probe::exists(&start.join(path), path),
            Until::FileGone(path) => probe::gone(&start.join(path), path),
            Until::Line(line) => {
                let patience = Patience { cx, deadline };
                probe::line(&start.join(&line.file), line, &patience)
            }
            Until::ProcessGone(process) => probe::process_gone(start, process),
            #[cfg(feature = "http")]
            Until::Http(http) => {
                probe::http(&Patience { cx, deadline }, &http.validate()?, http.status.as_deref())
            }
        }
    }
}

impl Job for WaitFor {
    fn name(&self) -> String {
        let what = match &self.until {
            Until::PortOpen(address) => format!("port {address} open"),
            Until::PortClosed(address) => format!("port {address} closed"),
            Until::FileExists(path) => format!("file {}", path.display()),
            Until::FileGone(path) => format!("no file {}", path.display()),
            Until::Line(line) => format!("line {} in {}", line.pattern, line.file.display()),
            Until::ProcessGone(WhichProcess::Pid(pid)) => format!("end of process {pid}"),
            Until::ProcessGone(WhichProcess::PidFile(path)) => {
                format!("end of process in {}", path.display())
            }
            Until::ProcessGone(WhichProcess::Name(name)) => format!("end of process {name}"),
            #[cfg(feature = "http")]
            Until::Http(http) => {
                let shown = Url::http(&http.url).map_or_else(|_| "…".to_owned(), |url| url.to_string());
                format!("answer of {shown}")
            }
        };
        format!("WaitFor {what}")
    }

    fn retry(&self) -> Retry {
        Retry::tries(1)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let deadline = Deadline::after(cx, self.timeout.duration());
        self.look(cx, &deadline)?.map_or(Ok(()), |reason| Err(NotAsWanted::new(reason).into()))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let deadline = Deadline::after(cx, self.timeout.duration());
        while let Some(reason) = self.look(cx, &deadline)? {
            ensure!(!deadline.is_over(cx), "it did not come to pass within {}: {reason}", self.timeout);
            deadline.pause(cx, self.interval.duration())?;
        }
        Ok(())
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

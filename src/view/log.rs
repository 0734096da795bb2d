//! The log of the engine itself, and where `tracing` lines of jobs go.
//!
//! What a job logs while it is at work becomes its output, like the lines of its commands; all else goes to standard
//! error, as far as `DOJOB_LOG` asks for it.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::streams::Stderr;
use crate::context::current;
use crate::secret::IN_LOGS;

/// The variable that says what is logged, in the syntax of `tracing_subscriber`'s `EnvFilter`.
pub const LOG_VARIABLE: &str = "DOJOB_LOG";

/// Sends `tracing` to where it belongs: see [`LOG_VARIABLE`]. `default` is the filter where the variable is not set;
/// `"error"` shows errors alone, `"dojob=debug"` how the graph was found and why a job waits. `color`: whether standard
/// error takes colours.
///
/// A program that has set up `tracing` itself keeps what it has, and then this does nothing.
///
/// # Errors
/// When the filter cannot be understood: what is wrong with it.
pub fn init_log(default: &str, color: bool) -> Result<(), String> {
    let (filter, from) = match std::env::var(LOG_VARIABLE) {
        Ok(filter) if !filter.trim().is_empty() => (filter, LOG_VARIABLE),
        _ => (default.to_owned(), "the default filter"),
    };
    let parsed = EnvFilter::builder()
        .with_default_directive(LevelFilter::ERROR.into())
        .parse(&filter)
        .map_err(|error| format!("failed to understand {from}, which is `{filter}`: {error}"))?;
    let is_own = |target: &str| target == "dojob" || target.starts_with("dojob::");
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Masked)
        .with_ansi(color)
        .without_time()
        .with_filter(dynamic_filter_fn(move |metadata, _| {
            is_own(metadata.target()) || !current::is_at_work()
        }))
        .with_filter(parsed);
    let of_jobs = JobLines.with_filter(dynamic_filter_fn(move |metadata, _| {
        metadata.is_event() && !is_own(metadata.target()) && current::is_at_work()
    }));
    // Fails where the program has a subscriber of its own, which is then the one that counts.
    let _ = tracing_subscriber::registry().with(lines).with(of_jobs).try_init();
    Ok(())
}

/// Standard error, without the secrets of any run. The layer writes whole lines.
struct Masked;

impl io::Write for Masked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        Stderr.write_all(IN_LOGS.mask(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Stderr.flush()
    }
}

/// Turns what a job logs into its output.
struct JobLines;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for JobLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > Level::INFO {
            return;
        }
        let mut line = LogLine(String::new());
        match *event.metadata().level() {
            Level::ERROR => line.0.push_str("error: "),
            Level::WARN => line.0.push_str("warning: "),
            _ => {}
        }
        event.record(&mut line);
        current::log(line.0.trim_end());
    }
}

/// The message, and the fields behind it.
struct LogLine(String);

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}

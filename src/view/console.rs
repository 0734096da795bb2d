//! A run as lines of text for people.
//!
//! Hears events and writes lines; knows nothing of the engine. Three levels: what changed or failed; every phase; and
//! every failure in full.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde_json::Value;

use super::text;
use crate::event::{Counts, Event, Failure, FailureKind, Observer, Outcome, Phase, Stream};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const TODO: Style = AnsiColor::Yellow.on_default();
const QUIET: Style = Style::new().dimmed();

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// A line for each job that changed something or failed, and a summary.
    Normal,
    /// A line for each phase, too, and what jobs print.
    Verbose,
    /// Every failure with its causes, place and backtrace, too.
    Debug,
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether that means colours on `stream`.
    pub(crate) fn applies_to(self, stream: &impl IsTerminal) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                stream.is_terminal() && !set("NO_COLOR") && !dumb
            }
        }
    }
}

/// Tells people of a run, a line at a time, on standard error unless told otherwise.
///
/// In [`verbose`](Console::verbose) every phase is a line of the form `NAME.PHASE: pass` or `NAME.PHASE: fail "reason"`.
/// A first check that finds something to do has no reason on its line: the line of the settled job gives it.
pub struct Console {
    out: Box<dyn Write + Send>,
    /// Where phases and what jobs print go, if that is elsewhere.
    progress: Option<Box<dyn Write + Send>>,
    level: Level,
    color: bool,
    diff: bool,
    no_act: bool,
    /// Jobs that never had their turn or are unknown, for the summary: the first few, and how many.
    waiting: Vec<Waiting>,
    waiting_more: usize,
    /// Jobs that are in place and may change: the first few, and how many.
    tentative: Vec<Waiting>,
    tentative_more: usize,
    /// What the last runs of jobs said that are not settled.
    run_errors: HashMap<Arc<str>, String>,
    /// Jobs whose last check could not find out.
    blind: HashSet<Arc<str>>,
    /// The lines of jobs that failed, the first few, and how many lines were written since the first.
    failed: Vec<(Arc<str>, String)>,
    written_since: usize,
    failed_cleanups: Vec<String>,
    only_pending: bool,
    /// Runs that were reverted, and pending cleanups of earlier runs that were called.
    reverted: usize,
    /// Whether a group was reverted and given up.
    gave_up: bool,
    /// Runs were reverted for an attempt that failed.
    has_reverted: bool,
    pending_run: usize,
    /// Jobs of which was told that they have no revert.
    left: HashSet<Arc<str>>,
}

struct FailedAttempt<'e> {
    group: &'e str,
    attempt: u32,
    again: bool,
    delay: Duration,
    because_of: &'e [Arc<str>],
    reopened: &'e [Arc<str>],
}

struct Waiting {
    job: Arc<str>,
    outcome: Outcome,
    reason: Option<String>,
    because_of: Vec<Arc<str>>,
}

/// How many jobs that failed, or never had their turn, are named in a summary.
const SHOWN: usize = 20;
/// After so many other lines a failure is told again in the summary.
const OUT_OF_SIGHT: usize = 20;

impl Console {
    /// A line for each job that changed something or failed, and a summary.
    pub fn normal() -> Self {
        Console::new(Level::Normal)
    }

    /// A line for each phase, what jobs print, and a summary.
    pub fn verbose() -> Self {
        Console::new(Level::Verbose)
    }

    /// As verbose, and every failure with its causes, the place of a panic, and a backtrace where the environment asks
    /// for one (`RUST_BACKTRACE=1`).
    pub fn debug() -> Self {
        Console::new(Level::Debug)
    }

    fn new(level: Level) -> Self {
        Console {
            color: Color::Auto.applies_to(&io::stderr()),
            out: Box::new(io::stderr()),
            progress: None,
            level,
            diff: false,
            no_act: false,
            waiting: Vec::new(),
            waiting_more: 0,
            tentative: Vec::new(),
            tentative_more: 0,
            run_errors: HashMap::new(),
            blind: HashSet::new(),
            failed: Vec::new(),
            written_since: 0,
            failed_cleanups: Vec::new(),
            only_pending: false,
            reverted: 0,
            gave_up: false,
            has_reverted: false,
            pending_run: 0,
            left: HashSet::new(),
        }
    }

    /// Whether lines are coloured.
    #[must_use]
    pub fn color(mut self, color: Color) -> Self {
        self.color = color.applies_to(&io::stderr());
        self
    }

    /// Shows how the world differs from what is wanted, where a check can tell.
    #[must_use]
    pub fn diff(mut self, diff: bool) -> Self {
        self.diff = diff;
        self
    }

    /// Writes to `out` in place of standard error, without colours.
    #[must_use]
    pub fn to(mut self, out: impl Write + Send + 'static) -> Self {
        self.out = Box::new(out);
        self.color = false;
        self
    }

    /// Writes to `out` in place of standard error, with colours as before.
    #[cfg(feature = "cli")]
    pub(crate) fn write_to(mut self, out: impl Write + Send + 'static) -> Self {
        self.out = Box::new(out);
        self
    }

    /// Writes what was found to `out`, which is standard output; phases and what jobs print stay where they were.
    #[cfg(feature = "cli")]
    pub(crate) fn results_to(mut self, out: impl Write + Send + 'static, color: Color) -> Self {
        self.progress = Some(std::mem::replace(&mut self.out, Box::new(out)));
        self.color = color.applies_to(&io::stdout());
        self
    }

    /// Writes lines of what is going on.
    fn write_progress(&mut self, text: &str) {
        match &mut self.progress {
            Some(out) => {
                let _ = out.write_all(text.as_bytes());
                let _ = out.flush();
            }
            None => self.write(text),
        }
    }

    /// Writes one or more whole lines. What cannot be written is lost, and the work goes on.
    fn write(&mut self, text: &str) {
        self.written_since += text.lines().count();
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn phase(&mut self, job: &str, phase: Phase, passed: bool, is_final: bool, failure: Option<&Failure>) {
        if self.level >= Level::Verbose {
            let verdict = match (passed, phase) {
                (true, _) => self.paint(GOOD, "pass"),
                // That something is to be done is no mistake.
                (false, Phase::Check) if !is_final => self.paint(TODO, "fail"),
                (false, _) => self.paint(BAD, "fail"),
            };
            let mut line = format!("{}.{phase}: {verdict}", text::name(job));
            let is_shown = failure.is_some_and(|failure| shows_reason(phase, is_final, failure.kind));
            if let Some(failure) = failure.filter(|_| is_shown) {
                line.push(' ');
                line.push_str(&text::quoted(&failure.reason));
            }
            line.push('\n');
            if let Some(failure) = failure.filter(|_| self.level == Level::Debug) {
                line.push_str(&in_full(failure, is_shown));
            }
            self.write_progress(&line);
        }
        // Seen before the run, where it says what will be done; a recheck would only repeat it.
        if let Some(diff) = failure.and_then(|failure| failure.diff.as_ref())
            && self.diff
            && phase == Phase::Check
        {
            let title = if self.level == Level::Normal || self.progress.is_some() {
                format!("{}:\n", text::name(job))
            } else {
                String::new()
            };
            let diff = title + &self.painted_diff(diff);
            self.write(&diff);
        }
    }

    fn painted_diff(&self, diff: &str) -> String {
        let mut painted = String::new();
        for line in diff.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GOOD,
                Some(b'-') => BAD,
                _ => Style::new(),
            };
            painted.push_str("  ");
            painted.push_str(&self.paint(style, &text::line(line)));
            painted.push('\n');
        }
        painted
    }

    fn output(&mut self, job: &str, stream: Stream, line: &str) {
        if self.level >= Level::Verbose {
            let mark = if stream == Stream::Stderr { '!' } else { '|' };
            let line = format!("{} {mark} {}", text::name(job), text::line(line));
            let line = self.paint(QUIET, line.trim_end());
            self.write_progress(&format!("{line}\n"));
        }
    }

    fn settled(
        &mut self,
        job: &Arc<str>,
        outcome: Outcome,
        tries: u32,
        reason: Option<&str>,
        because_of: &[Arc<str>],
    ) {
        let run_error = self.run_errors.remove(job).filter(|_| outcome == Outcome::Failed);
        let was_blind = self.blind.remove(job) && outcome == Outcome::Failed;
        let style = match outcome {
            Outcome::Changed => GOOD,
            Outcome::WouldRun => TODO,
            // While a plan is applied: it was to run.
            Outcome::InPlace if reason.is_some() => GOOD,
            Outcome::Failed | Outcome::CouldNotFindOut => BAD,
            Outcome::Stopped if tries > 0 => TODO,
            Outcome::Blocked | Outcome::Unknown => {
                let waiting = waiting(job, outcome, reason, because_of);
                keep(&mut self.waiting, &mut self.waiting_more, waiting);
                return;
            }
            Outcome::InPlace if !because_of.is_empty() => {
                let waiting = waiting(job, outcome, None, because_of);
                keep(&mut self.tentative, &mut self.tentative_more, waiting);
                return;
            }
            _ => return,
        };
        let mut line = format!("{} {}", self.paint(style, outcome.as_str()), text::name(job));
        // What a run itself said of its failure is nearer to the cause than the recheck that found it out.
        let said = match (run_error, reason) {
            (Some(error), Some(reason)) if error != reason => {
                format!("its run said: {error}; and after it: {reason}")
            }
            (_, Some(reason)) if was_blind && !reason.starts_with("could not find out") => {
                format!("could not find out: {reason}")
            }
            (_, reason) => reason.unwrap_or_default().to_owned(),
        };
        if !said.is_empty() {
            line.push_str(&format!(": {}", text::name(&said)));
        }
        if !because_of.is_empty() {
            line.push_str(&format!(" (after {})", text::some_of(because_of.iter().map(|name| &**name))));
        }
        if tries > 1 {
            line.push_str(&format!(" ({tries} tries)"));
        }
        line.push('\n');
        self.write(&line);
        if outcome == Outcome::Failed && self.failed.len() < SHOWN {
            if self.failed.is_empty() {
                self.written_since = 0;
            }
            self.failed.push((job.clone(), line));
        }
    }

    fn attempt_started(&mut self, group: &str, attempt: u32, attempts: u32, value: Option<&Value>) {
        if self.level == Level::Normal {
            return;
        }
        let mut line = format!("{}: attempt {attempt} of {attempts}", text::name(group));
        if let Some(value) = value {
            line.push_str(&format!(" with {}", text::line(&value.to_string())));
        }
        self.write_progress(&format!("{line}\n"));
    }

    fn attempt_failed(&mut self, failed: &FailedAttempt<'_>) {
        let FailedAttempt { group, attempt, again, delay, because_of, reopened } = failed;
        let because_of = text::some_of(because_of.iter().map(|name| &**name));
        let (word, next) = match again {
            true if delay.is_zero() => (self.paint(TODO, "reverted"), "starting again".to_owned()),
            true => (self.paint(TODO, "reverted"), format!("starting again in {}", text::duration(*delay))),
            false => (self.paint(BAD, "reverted"), "no attempt is left".to_owned()),
        };
        let group = text::name(group);
        let line = format!("{word} {group}: attempt {attempt} failed because of {because_of}; {next}\n");
        self.write(&line);
        // It is over with what was reverted for it, and what failed may still succeed.
        self.has_reverted |= self.reverted > 0;
        self.reverted = 0;
        self.gave_up |= !again;
        self.failed.retain(|(job, _)| !reopened.contains(job));
    }

    fn write_waiting(&mut self, waiting: &Waiting) {
        let names = text::some_of(waiting.because_of.iter().map(|name| &**name));
        let (style, link) = match waiting.outcome {
            Outcome::InPlace => (GOOD, format!("(may change after {names})")),
            Outcome::Blocked => (TODO, format!("by {names}")),
            _ => (TODO, format!("until {names}")),
        };
        let word = self.paint(style, waiting.outcome.as_str());
        let why =
            waiting.reason.as_deref().map_or(String::new(), |reason| format!(": {}", text::name(reason)));
        self.write(&format!("{word} {} {link}{why}\n", text::name(&waiting.job)));
    }

    fn write_more(&mut self, more: usize, what: &str) {
        if more > 0 {
            self.write(&format!("… and {more} more {what}\n"));
        }
    }

    fn summary(
        &mut self,
        counts: Counts,
        duration: Duration,
        converged: bool,
        stopped: bool,
        incomplete: bool,
    ) {
        let failed = std::mem::take(&mut self.failed);
        if self.written_since > OUT_OF_SIGHT {
            failed.iter().for_each(|(_, line)| self.write(line));
        }
        let tentative = std::mem::take(&mut self.tentative);
        tentative.into_iter().for_each(|waiting| self.write_waiting(&waiting));
        let more = std::mem::take(&mut self.tentative_more);
        self.write_more(more, "in place that may change");
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().for_each(|waiting| self.write_waiting(&waiting));
        let word = if self.no_act { "unknown" } else { "blocked" };
        let more = std::mem::take(&mut self.waiting_more);
        self.write_more(more, word);
        let total = text::count(counts.total(), "job");
        let parts: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        let took = text::duration(duration);
        let failed_cleanups = std::mem::take(&mut self.failed_cleanups);
        failed_cleanups.iter().for_each(|line| self.write(line));
        let unclean = failed_cleanups.len();
        // Where only a group was reverted, what others have changed stays.
        let gave_up = std::mem::take(&mut self.gave_up) && counts.changed == 0;
        let is_reverted = (std::mem::take(&mut self.reverted) > 0 || gave_up) && !converged;
        let has_reverted = std::mem::take(&mut self.has_reverted);
        let line = if self.only_pending {
            let word = match (std::mem::take(&mut self.pending_run), unclean) {
                (0, 0) => self.paint(GOOD, "nothing was pending"),
                (ran, 0) => self.paint(GOOD, &format!("ran {}", text::count(ran, "pending cleanup"))),
                (ran, _) => {
                    self.paint(BAD, &format!("ran {}, {unclean} failed", text::count(ran, "pending cleanup")))
                }
            };
            format!("{word} ({took})")
        } else if is_reverted || incomplete {
            let word = self.paint(BAD, if incomplete { "revert incomplete" } else { "reverted" });
            format!("{word}: {total}, {} ({took})", parts.join(", "))
        } else if converged && unclean > 0 {
            let word = self.paint(BAD, &format!("converged, but {} failed", text::count(unclean, "cleanup")));
            format!("{word}: {total}, {} ({took})", parts.join(", "))
        } else if converged && counts.changed + counts.skipped == 0 && !has_reverted {
            let word = self.paint(GOOD, "nothing to do");
            match counts.total() {
                1 => format!("{word}: the job is in place ({took})"),
                2 => format!("{word}: both jobs are in place ({took})"),
                _ => format!("{word}: all {total} are in place ({took})"),
            }
        } else {
            let word = match (stopped, converged, self.no_act) {
                (true, ..) => self.paint(BAD, "stopped"),
                (_, true, _) => self.paint(GOOD, "converged"),
                (_, _, true) if counts.could_not_find_out == 0 => self.paint(TODO, "dry run"),
                (_, _, true) => self.paint(BAD, "dry run"),
                (_, _, false) => self.paint(BAD, "not converged"),
            };
            format!("{word}: {total}, {} ({took})", parts.join(", "))
        };
        self.write(&format!("{line}\n"));
    }

    fn revert(&mut self, job: &Arc<str>, exists: bool, passed: bool, failure: Option<&Failure>) {
        self.reverted += usize::from(passed && exists);
        if exists {
            self.phase(job, Phase::Revert, passed, true, failure);
        }
        if failure.is_none() && !exists && !self.left.insert(job.clone()) {
            return;
        }
        let job = text::name(job);
        let line = match failure {
            Some(failure) => {
                format!("{} {job}: {}", self.paint(BAD, "revert failed"), text::name(&failure.reason))
            }
            None if exists => format!("{} {job}", self.paint(GOOD, "reverted")),
            None => format!("{} {job}, which has no revert", self.paint(TODO, "left as it is")),
        };
        self.write(&format!("{line}\n"));
    }

    fn pending(&mut self, job: &str, phase: Phase, of: Option<Timestamp>, reason: &str) {
        let word = self.paint(TODO, "pending");
        let of = left_by(of);
        self.write(&format!("{word} {phase} of {}{of}: {}\n", text::name(job), text::name(reason)));
    }

    fn cleanup(&mut self, job: &str, of: Option<Timestamp>, passed: bool, failure: Option<&Failure>) {
        self.phase(job, Phase::Cleanup, passed, true, failure);
        if of.is_some() && passed {
            self.pending_run += 1;
            let word = self.paint(GOOD, "cleaned up");
            self.write(&format!("{word} {}{}\n", text::name(job), left_by(of)));
        }
        if let Some(failure) = failure {
            let word = self.paint(BAD, "cleanup failed");
            self.failed_cleanups.push(format!(
                "{word} {}: {}\n",
                text::name(job),
                text::name(&failure.reason)
            ));
        }
    }
}

fn waiting(job: &Arc<str>, outcome: Outcome, reason: Option<&str>, because_of: &[Arc<str>]) -> Waiting {
    Waiting { job: job.clone(), outcome, reason: reason.map(str::to_owned), because_of: because_of.to_vec() }
}

fn keep(kept: &mut Vec<Waiting>, more: &mut usize, waiting: Waiting) {
    if kept.len() < SHOWN { kept.push(waiting) } else { *more += 1 }
}

/// Which earlier run left it.
fn left_by(of: Option<Timestamp>) -> String {
    of.map_or(String::new(), |of| format!(", left by the run of {of:.0}"))
}

/// Whether the line of a failed phase gives its reason. That a first check finds something to do is the expected case,
/// and its reason is repeated by the line of the settled job.
fn shows_reason(phase: Phase, is_final: bool, kind: FailureKind) -> bool {
    phase != Phase::Check || is_final || kind == FailureKind::CouldNotFindOut
}

/// All that is known of a failure; the reason itself only where the line before does not have it.
fn in_full(failure: &Failure, reason_is_shown: bool) -> String {
    let mut full = String::new();
    let mut add = |what: &str, text: &str| {
        let mut lines = text.lines();
        full.push_str(&format!("    {what}{}\n", text::line(lines.next().unwrap_or_default())));
        lines.for_each(|line| full.push_str(&format!("      {}\n", text::line(line))));
    };
    if !reason_is_shown {
        add("", &failure.reason);
    }
    failure.causes.iter().for_each(|cause| add("caused by: ", cause));
    if let Some(location) = &failure.location {
        add("panicked at ", location);
    }
    if let Some(backtrace) = &failure.backtrace {
        add("backtrace:", &format!("\n{}", backtrace.trim_end()));
    }
    full
}

impl Observer for Console {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::RunStarted { no_act, only_pending, .. } => {
                (self.no_act, self.only_pending) = (*no_act, *only_pending);
            }
            Event::PhaseEnded { job, phase, passed, is_final, failure, .. } => {
                self.phase(job, *phase, *passed, *is_final, failure.as_deref());
                if let Some(failure) = failure.as_ref().filter(|_| *phase == Phase::Run && *is_final) {
                    self.run_errors.insert(job.clone(), failure.reason.clone());
                }
                let is_blind =
                    failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::CouldNotFindOut);
                if is_blind && *phase == Phase::Check && *is_final {
                    self.blind.insert(job.clone());
                }
            }
            Event::Output { job, stream, line, .. } => self.output(job, *stream, line),
            Event::JobSettled { job, outcome, tries, reason, because_of, .. } => {
                self.settled(job, *outcome, *tries, reason.as_deref(), because_of);
            }
            Event::RevertEnded { job, exists, passed, failure, .. } => {
                self.revert(job, *exists, *passed, failure.as_deref());
            }
            Event::AttemptStarted { group, attempt, attempts, value } => {
                self.attempt_started(group, *attempt, *attempts, value.as_ref());
            }
            Event::AttemptFailed { group, attempt, again, delay, because_of, reopened } => {
                let (attempt, again, delay) = (*attempt, *again, *delay);
                self.attempt_failed(&FailedAttempt { group, attempt, again, delay, because_of, reopened });
            }
            Event::SurvivorsEnded { job, processes } => {
                let line = format!(
                    "ended {} that {} had left when it was killed\n",
                    text::processes(*processes),
                    text::name(job)
                );
                self.write(&line);
            }
            Event::CleanupPending { job, phase, of, reason, .. } => self.pending(job, *phase, *of, reason),
            Event::CleanupEnded { job, of, passed, failure, .. } => {
                self.cleanup(job, *of, *passed, failure.as_deref());
            }
            Event::RunEnded { duration, converged, stopped, revert_incomplete, counts, .. } => {
                self.summary(*counts, *duration, *converged, *stopped, *revert_incomplete);
            }
            _ => {}
        }
    }
}

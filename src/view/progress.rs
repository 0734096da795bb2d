//! A run while it goes on, on a terminal: a bar, the jobs in work, the retries that wait.
//!
//! Hears events and keeps a small picture of the run; a ticker draws it ([`render`] is pure). What stays for good (a
//! changed job, a failure, the summary) is the [`Console`]'s, printed above.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::console::{Color, Console};
use super::history::History;
use super::streams::Stderr;
use super::text;
use crate::clock::{Clock, SystemClock};
use crate::event::{Event, Observer, Outcome, Phase};

/// How often the picture is drawn anew.
const TICK: Duration = Duration::from_millis(100);
/// How many lines the jobs in work and those that wait may take.
const LINES: usize = 8;
/// A job that is done sooner is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_millis(150);

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const QUIET: Style = Style::new().dimmed();

/// Shows a run on a terminal while it goes on.
pub(crate) struct Progress {
    bar: ProgressBar,
    shared: Arc<Mutex<Shown>>,
    console: Console,
    clock: SystemClock,
    history: Arc<Mutex<History>>,
}

impl Progress {
    /// Whether standard error is a place for it: a terminal that can move its cursor.
    pub(crate) fn is_wanted() -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        io::stderr().is_terminal() && !dumb
    }

    /// `console` says what stays; `history` knows what earlier runs took, and learns what this one takes.
    pub(crate) fn new(console: Console, color: Color, history: Arc<Mutex<History>>) -> Self {
        let progress = Progress::beside(console, color, history);
        let console = progress.console.write_to(AboveTheBar { bar: progress.bar.clone() });
        Progress { console, ..progress }
    }

    /// As [`new`](Progress::new), for a console that writes elsewhere.
    pub(crate) fn beside(console: Console, color: Color, history: Arc<Mutex<History>>) -> Self {
        let clock = SystemClock::new();
        let shared = Arc::new(Mutex::new(Shown {
            style: Drawn { color: color.applies_to(&io::stderr()), unicode: is_unicode() },
            ..Shown::default()
        }));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(Screen)));
        let drawn = shared.clone();
        let all = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&render(&lock(&drawn), clock.now(), terminal_width()));
        };
        if let Ok(style) = ProgressStyle::with_template("{all}") {
            bar.set_style(style.with_key("all", all));
        }
        Progress { bar, shared, console, clock, history }
    }
}

/// The terminal that the bar is drawn on.
#[derive(Debug)]
struct Screen;

impl Screen {
    /// Writes a control sequence with a count (ECMA-48), for which none is needed where that is 0.
    fn control(count: usize, letter: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { Stderr.write_all(format!("\x1b[{count}{letter}").as_bytes()) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        console::Term::stderr().size().1
    }

    fn height(&self) -> u16 {
        console::Term::stderr().size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        Screen::control(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        Screen::control(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        Screen::control(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        Screen::control(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        Stderr.write_all(format!("{text}\n").as_bytes())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        Stderr.write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        Stderr.write_all(b"\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Asked for at every drawing, since the window may have been resized.
fn terminal_width() -> usize {
    usize::from(console::Term::stderr().size().1)
}

/// Whether the environment says that the terminal knows more than ASCII.
fn is_unicode() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_string_lossy().to_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

/// Prints lines above the bar.
struct AboveTheBar {
    bar: ProgressBar,
}

impl Write for AboveTheBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        if self.bar.is_finished() {
            Stderr.write_all(format!("{text}\n").as_bytes())?;
        } else {
            self.bar.println(text);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How lines are drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Drawn {
    color: bool,
    unicode: bool,
}

impl Drawn {
    fn paint(self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// What is known of a job that is not settled and has begun.
#[derive(Clone, Copy, Debug)]
struct Open {
    attempt: u32,
    tries: u32,
    state: OpenState,
}

#[derive(Clone, Copy, Debug)]
enum OpenState {
    /// In this phase since then.
    Working { phase: Phase, since: Duration },
    /// It may try again then.
    Waiting { until: Duration },
}

/// The picture of a run.
#[derive(Debug, Default)]
struct Shown {
    style: Drawn,
    total: usize,
    done: usize,
    failed: usize,
    started: Duration,
    workers: usize,
    no_act: bool,
    jobs: BTreeMap<Arc<str>, Open>,
    /// What the jobs that are not settled took in earlier runs, where enough of that is known.
    left: Option<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn hear(&mut self, event: &Event, now: Duration) {
        match event {
            Event::RunStarted { jobs, workers, no_act, .. } => {
                (self.total, self.workers, self.no_act) = (*jobs, *workers, *no_act);
                (self.done, self.failed, self.started) = (0, 0, now);
            }
            Event::TryStarted { job, attempt, tries } => {
                let state = OpenState::Working { phase: Phase::Check, since: now };
                self.jobs.insert(job.clone(), Open { attempt: *attempt, tries: *tries, state });
            }
            Event::PhaseStarted { job, phase, .. } => {
                if let Some(open) = self.jobs.get_mut(job) {
                    // Time goes on from the check to the run: people want to know how long a job takes.
                    let since = match open.state {
                        OpenState::Working { since, .. } => since,
                        OpenState::Waiting { .. } => now,
                    };
                    open.state = OpenState::Working { phase: *phase, since };
                }
            }
            Event::RetryScheduled { job, attempt, tries, delay } => {
                let state = OpenState::Waiting { until: now.saturating_add(*delay) };
                self.jobs.insert(job.clone(), Open { attempt: *attempt, tries: *tries, state });
            }
            Event::AttemptFailed { reopened, because_of, .. } => {
                self.done = self.done.saturating_sub(reopened.len());
                self.failed =
                    self.failed.saturating_sub(if reopened.is_empty() { 0 } else { because_of.len() });
            }
            Event::JobSettled { job, outcome, .. } => {
                self.jobs.remove(job);
                self.done += 1;
                self.failed += usize::from(matches!(outcome, Outcome::Failed | Outcome::CouldNotFindOut));
            }
            _ => {}
        }
    }
}

/// The picture as text, no line wider than `width`.
fn render(shown: &Shown, now: Duration, width: usize) -> String {
    let width = width.max(20);
    let mut picture = head(shown, now, width);
    let mut lines: Vec<(bool, Duration, &Arc<str>, Open)> = shown
        .jobs
        .iter()
        .filter_map(|(job, open)| match open.state {
            OpenState::Working { since, .. } if now.saturating_sub(since) < WORTH_A_LINE => None,
            OpenState::Working { since, .. } => Some((false, since, job, *open)),
            OpenState::Waiting { until } if until <= now => None,
            OpenState::Waiting { until } => Some((true, until, job, *open)),
        })
        .collect();
    // Those in work first, the longest first; then those that wait, the next first.
    lines.sort_by_key(|(waits, time, ..)| (*waits, *time));
    let hidden = lines.len().saturating_sub(LINES);
    for (_, _, job, open) in lines.into_iter().take(LINES) {
        let (doing, quiet) = match open.state {
            OpenState::Working { phase, since } => {
                (format!("{phase} {}", text::duration(now.saturating_sub(since))), false)
            }
            OpenState::Waiting { until } => {
                (format!("again in {}", text::duration(until.saturating_sub(now))), true)
            }
        };
        let tries = if open.attempt > 1 {
            format!(" (try {} of {})", open.attempt, open.tries)
        } else {
            String::new()
        };
        let doing = format!("  {doing}{tries}");
        let name = fitted(&text::name(job), width.saturating_sub(doing.chars().count() + 3), shown.style);
        let doing = shown.style.paint(QUIET, &fitted(&doing, width.saturating_sub(3), shown.style));
        let name = if quiet { shown.style.paint(QUIET, &name) } else { name };
        let _ = write!(picture, "\n  {name}{doing}");
    }
    if hidden > 0 {
        let _ = write!(picture, "\n  {}", shown.style.paint(QUIET, &format!("and {hidden} more")));
    }
    picture
}

/// The bar itself: `━━━━━──────  12/22  1 failed  3.1 s, about 5.0 s left`.
fn head(shown: &Shown, now: Duration, width: usize) -> String {
    let spent = now.saturating_sub(shown.started);
    let mut words = format!("{}/{}", shown.done, shown.total);
    if shown.no_act {
        words.push_str("  dry run");
    }
    let failed = if shown.failed > 0 { format!("  {} failed", shown.failed) } else { String::new() };
    let mut time = format!("  {}", text::duration(spent));
    if let Some(left) = shown.left {
        let left = left / u32::try_from(shown.workers.max(1)).unwrap_or(u32::MAX);
        let _ = write!(time, ", about {} left", text::duration(left));
    }
    let taken = [&words, &failed, &time].map(|part| part.chars().count()).into_iter().sum::<usize>() + 4;
    let cells = width.saturating_sub(taken).min(30);
    let full = (cells * shown.done).checked_div(shown.total).unwrap_or(0);
    let (one, zero) = if shown.style.unicode { ("━", "─") } else { ("#", "-") };
    let color = if shown.failed > 0 { BAD } else { GOOD };
    let line = format!(
        " {}{}  {words}{}{}",
        shown.style.paint(color, &one.repeat(full)),
        shown.style.paint(QUIET, &zero.repeat(cells - full)),
        shown.style.paint(BAD, &failed),
        shown.style.paint(QUIET, &time),
    );
    if taken <= width { line } else { fitted(&format!(" {words}{failed}{time}"), width, shown.style) }
}

/// `text` cut to at most `width` columns.
fn fitted(text: &str, width: usize, look: Drawn) -> String {
    let end = if look.unicode { "…" } else { "~" };
    console::truncate_str(text, width, end).into_owned()
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event) {
        let now = self.clock.now();
        {
            let mut history = lock(&self.history);
            history.hear(event);
            let mut shown = lock(&self.shared);
            shown.hear(event, now);
            shown.left = history.left(shown.total);
        }
        match event {
            Event::RunStarted { .. } => {
                self.bar.reset();
                self.bar.enable_steady_tick(TICK);
            }
            Event::RunEnded { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        self.console.observe(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn shown() -> Shown {
        let mut shown = Shown { style: Drawn { color: false, unicode: true }, ..Shown::default() };
        let at = jiff::Timestamp::UNIX_EPOCH;
        shown.hear(
            &Event::RunStarted {
                at,
                jobs: 22,
                workers: 4,
                no_act: false,
                look_ahead: false,
                only_pending: false,
            },
            seconds(0),
        );
        let starts = |job: &str| Event::TryStarted { job: job.into(), attempt: 1, tries: 3 };
        for (job, at) in [("TurnOnTv", 1), ("A very long name that has to be cut somewhere in its middle", 2)]
        {
            shown.hear(&starts(job), seconds(at));
            shown.hear(&Event::PhaseStarted { job: job.into(), phase: Phase::Run, attempt: 1 }, seconds(at));
        }
        let delay = seconds(90);
        shown.hear(&Event::RetryScheduled { job: "Pizza".into(), attempt: 2, tries: 3, delay }, seconds(2));
        shown.hear(&starts("just begun"), seconds(4));
        for (job, outcome) in [("A", Outcome::InPlace), ("B", Outcome::Failed)] {
            let (tries, duration) = (1, seconds(1));
            let (reason, because_of, result, job) = (None, vec![], None, job.into());
            shown.hear(
                &Event::JobSettled { job, outcome, tries, duration, reason, because_of, result },
                seconds(3),
            );
        }
        shown
    }

    #[test]
    fn a_picture_of_sixty_columns() {
        let picture = render(&Shown { left: Some(seconds(20)), ..shown() }, seconds(4), 60);
        assert_eq!(
            picture,
            " ━────────────────  2/22  1 failed  4.0 s, about 5.0 s left
  TurnOnTv  run 3.0 s
  A very long name that has to be cut somewhere…  run 2.0 s
  Pizza  again in 1 min 28 s (try 2 of 3)"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 20..120 {
            for style in [Drawn { color: false, unicode: false }, Drawn { color: true, unicode: true }] {
                let picture =
                    render(&Shown { style, left: Some(seconds(5000)), ..shown() }, seconds(4000), width);
                for line in picture.lines() {
                    assert!(console::measure_text_width(line) <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn plain_terminals_get_plain_characters() {
        let style = Drawn { color: false, unicode: false };
        let picture = render(&Shown { style, ..shown() }, seconds(4), 40);
        assert!(picture.is_ascii(), "{picture}");
    }

    #[test]
    fn only_some_of_many_jobs_have_a_line() {
        let mut shown = shown();
        for at in 0..20 {
            let job: Arc<str> = format!("job {at}").into();
            shown.hear(&Event::TryStarted { job, attempt: 1, tries: 1 }, seconds(2));
        }
        let picture = render(&shown, seconds(4), 80);
        assert_eq!(picture.lines().count(), 1 + LINES + 1);
        assert!(picture.ends_with("and 15 more"), "{picture}");
    }
}

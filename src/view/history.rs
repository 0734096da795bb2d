//! How long jobs took in earlier runs, for an estimate of what is left.
//!
//! Hears events and knows numbers; where they are kept from one run to the next is not its business.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Event, Outcome};

/// Of more jobs than this nothing is kept: the bar itself is estimate enough.
const MOST: usize = 20_000;

/// What jobs took, by name, in seconds.
pub(crate) type Durations = BTreeMap<String, f64>;

/// What is known from earlier, and what this run adds to it.
#[derive(Debug, Default)]
pub(crate) struct History {
    known: Durations,
    /// Of the jobs that are not settled in this run, together.
    left: f64,
    taken: Durations,
    dry: bool,
}

impl History {
    pub(crate) fn new(known: Durations) -> Self {
        History { known, ..History::default() }
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { no_act, .. } => {
                self.dry = *no_act;
                self.left = self.known.values().sum();
                self.taken.clear();
            }
            Event::AttemptFailed { reopened, .. } => {
                let known = reopened.iter().filter_map(|job| self.known.get(&**job));
                self.left += known.sum::<f64>();
            }
            Event::JobSettled { job, outcome, duration, .. } => {
                if let Some(known) = self.known.get(&**job) {
                    self.left = (self.left - known).max(0.0);
                }
                if matches!(outcome, Outcome::InPlace | Outcome::Changed) && self.taken.len() <= MOST {
                    self.taken.insert(job.to_string(), duration.as_secs_f64());
                }
            }
            _ => {}
        }
    }

    /// What is left, all jobs together, where most of the run's `jobs` are known from earlier.
    pub(crate) fn left(&self, jobs: usize) -> Option<Duration> {
        let known = self.known.len();
        let enough = known * 5 >= jobs * 4 && known <= jobs * 2 && self.left >= 1.0 && !self.dry;
        // What was read from a file may be any number.
        Duration::try_from_secs_f64(self.left).ok().filter(|_| enough)
    }

    /// What is worth keeping for the next run: a job that failed, or was not in this one, keeps what was known of it.
    /// `None` where nothing was learned.
    pub(crate) fn learned(&self) -> Option<Durations> {
        if self.dry || self.taken.is_empty() {
            return None;
        }
        let mut known = self.known.clone();
        known.extend(self.taken.iter().map(|(job, seconds)| (job.clone(), *seconds)));
        (known.len() <= MOST).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(job: &str, seconds: u64) -> Event {
        Event::JobSettled {
            job: job.into(),
            outcome: Outcome::Changed,
            tries: 1,
            duration: Duration::from_secs(seconds),
            reason: None,
            because_of: Vec::new(),
            result: None,
        }
    }

    fn run(jobs: usize, no_act: bool) -> Event {
        Event::RunStarted {
            at: jiff::Timestamp::UNIX_EPOCH,
            jobs,
            workers: 1,
            no_act,
            look_ahead: false,
            only_pending: false,
        }
    }

    #[test]
    fn the_second_run_knows_what_the_first_took() {
        let mut first = History::default();
        first.hear(&run(2, false));
        assert_eq!(first.left(2), None, "nothing is known");
        first.hear(&settled("A", 3));
        first.hear(&settled("B", 4));

        let mut second = History::new(first.learned().unwrap());
        second.hear(&run(2, false));
        assert_eq!(second.left(2), Some(Duration::from_secs(7)));
        second.hear(&settled("B", 9));
        assert_eq!(second.left(2), Some(Duration::from_secs(3)));
        assert_eq!(second.left(10), None, "most jobs are new");
        assert_eq!(second.learned().unwrap(), [("A".to_owned(), 3.0), ("B".to_owned(), 9.0)].into());
    }

    #[test]
    fn a_dry_run_teaches_nothing() {
        let mut history = History::default();
        history.hear(&run(1, true));
        history.hear(&settled("A", 3));
        assert_eq!(history.learned(), None);
    }

    #[test]
    fn impossible_numbers_are_no_estimate() {
        let mut history = History::new([("A".to_owned(), 1e300)].into());
        history.hear(&run(1, false));
        assert_eq!(history.left(1), None);
    }
}

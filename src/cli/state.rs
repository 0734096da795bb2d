//! The journal of a provisioning binary: where it is, and what it shows of it.
//!
//! Turns flags into a [`Journal`]; what is done with it is the engine's business.

use super::flags::{Flags, Format, Patience};
use super::say::{program, say};
use crate::engine::Engine;
use crate::event::Phase;
use crate::host::file_log::{Journal, JournalError};
use crate::report::PendingCleanup;

impl Flags {
    /// The engine with the journal of its scope, unless it has one already. What changes nothing only looks at it.
    pub(super) fn with_journal(&self, engine: Engine) -> Result<Engine, JournalError> {
        if engine.has_journal() {
            return Ok(engine);
        }
        Ok(match self.journal_of(&engine)? {
            Some(journal) => engine.journal(journal),
            None => engine,
        })
    }

    /// The journal of an engine's scope, locked unless it is only looked at; `None` where there is nothing to look at.
    pub(super) fn journal_of(&self, engine: &Engine) -> Result<Option<Journal>, JournalError> {
        let only_looks = self.no_act || self.list || self.pending;
        let directory = match &self.state_dir {
            Some(base) => Journal::directory_below(base, &program(), engine.scope_name()),
            None => match Journal::usual_directory(&program(), engine.scope_name()) {
                Ok(directory) => directory,
                // There is nothing to look at, and nothing to write down.
                Err(_) if only_looks => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        // The one above is the user's own, too, or somebody else decides which scopes there are.
        Journal::trust_above(&directory)?;
        if only_looks {
            return Ok(Some(Journal::open_read_only(directory)?));
        }
        let journal = match (Journal::open(&directory), self.wait) {
            (Err(locked @ JournalError::Locked { .. }), Some(patience)) => {
                say(&format!("waiting: {locked}"));
                let limit = match patience {
                    Patience::Forever => None,
                    Patience::AtMost(limit) => Some(limit),
                };
                Journal::open_blocking(&directory, limit)
            }
            (journal, _) => journal,
        };
        Ok(Some(journal?))
    }

    /// What is pending, for stdout.
    pub(super) fn pending_to_show(&self, pending: &[PendingCleanup]) -> anyhow::Result<String> {
        if self.format == Format::Json {
            return Ok(format!("{}\n", serde_json::to_string_pretty(pending)?));
        }
        if pending.is_empty() {
            return Ok("nothing is pending\n".to_owned());
        }
        Ok(pending.iter().map(|cleanup| format!("{}\n", in_words(cleanup))).collect())
    }
}

/// A line about a pending cleanup.
pub(crate) fn in_words(cleanup: &PendingCleanup) -> String {
    let verb = match (cleanup.declined, cleanup.phase) {
        (true, _) => "declined",
        (false, _) => "pending",
    };
    let what = if cleanup.phase == Phase::Revert { "revert" } else { "cleanup" };
    let lost = match (cleanup.has_job, cleanup.certain) {
        (false, _) => "; there is no job of this name now",
        (true, false) => ", if it has one",
        (true, true) => "",
    };
    format!(
        "{verb}: {what} of {} (try {} of the run of {:.0}){lost}",
        cleanup.job.escape_debug(),
        cleanup.attempt,
        cleanup.of
    )
}

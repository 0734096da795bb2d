//! What a started run of a job still owes: its cleanup, and, where the convergence reverts on failure, its revert.
//!
//! Pure. One value and one table of transitions, used by the engine, by recovery after a crash, by rollback and by the
//! journal alike.

use self::Obligation::{
    Cleanup, Declined, Incomplete, IncompleteCleanup, IncompleteDeclined, Revert, RevertCleanup,
    RevertDeclined, Settled,
};

/// What a started run owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Obligation {
    /// Nothing.
    Settled,
    /// Its cleanup.
    Cleanup,
    /// Nothing, since its cleanup was left out on purpose; that can still be made up for.
    Declined,
    /// Its revert if the convergence fails; the cleanup has succeeded.
    Revert,
    /// Its revert if the convergence fails, and its cleanup.
    RevertCleanup,
    /// Its revert if the convergence fails; the cleanup was left out on purpose.
    RevertDeclined,
    /// A revert that failed or was not reached; the cleanup has succeeded.
    Incomplete,
    /// A revert that failed or was not reached, and the cleanup, which waits for it.
    IncompleteCleanup,
    /// A revert that failed or was not reached; the cleanup was left out on purpose.
    IncompleteDeclined,
}

/// What happens to a started run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transition {
    /// Its cleanup has succeeded, or there is nothing to clean up.
    Cleaned,
    /// Its cleanup was called and failed.
    CleanupFailed,
    /// Its cleanup was left out on purpose.
    CleanupDeclined,
    /// It was reverted, or there is nothing that could be called for it.
    Reverted,
    /// Its revert was called and failed, or was not reached.
    RevertFailed,
    /// The convergence, or the rollback, has ended by itself: nothing of it is reverted from now on.
    Closed,
}

impl Obligation {
    /// What a run owes when it starts.
    pub(crate) fn of_a_start(reverts: bool) -> Obligation {
        if reverts { RevertCleanup } else { Cleanup }
    }

    /// What is owed after a transition.
    pub(crate) fn after(self, transition: Transition) -> Obligation {
        let (_, row) = TABLE[self as usize];
        row[transition as usize]
    }

    /// Whether its cleanup has to be called.
    pub(crate) fn owes_cleanup(self) -> bool {
        matches!(self, Cleanup | RevertCleanup | IncompleteCleanup)
    }

    /// Whether its cleanup was left out on purpose.
    pub(crate) fn is_declined(self) -> bool {
        matches!(self, Declined | RevertDeclined | IncompleteDeclined)
    }

    /// Whether its cleanup has succeeded.
    pub(crate) fn is_clean(self) -> bool {
        !self.owes_cleanup() && !self.is_declined()
    }

    /// Whether it has to be reverted when the convergence fails, or has failed.
    pub(crate) fn is_revertible(self) -> bool {
        !matches!(self, Settled | Cleanup | Declined)
    }

    /// Whether it should have been reverted, and was not.
    pub(crate) fn is_revert_incomplete(self) -> bool {
        matches!(self, Incomplete | IncompleteCleanup | IncompleteDeclined)
    }
}

/// What follows on what: for each obligation, what is owed after each [`Transition`], in the order of their declarations.
#[rustfmt::skip]
pub(crate) const TABLE: [(Obligation, [Obligation; 6]); 9] = [
    //               Cleaned  CleanupFailed  CleanupDeclined  Reverted  RevertFailed   Closed
    (Settled,        [Settled, Settled,       Settled,        Settled,  Settled,       Settled]),
    (Cleanup,        [Settled, Cleanup,       Declined,       Cleanup,  Cleanup,       Cleanup]),
    (Declined,       [Settled, Cleanup,       Declined,       Declined, Declined,      Declined]),
    (Revert,         [Revert,  Revert,        Revert,         Settled,  Incomplete,         Settled]),
    (RevertCleanup,  [Revert,  RevertCleanup, RevertDeclined, Cleanup,  IncompleteCleanup,  Cleanup]),
    (RevertDeclined, [Revert,  RevertCleanup, RevertDeclined, Declined, IncompleteDeclined, Declined]),
    (Incomplete,          [Incomplete,   Incomplete,         Incomplete,          Settled,  Incomplete,         Settled]),
    (IncompleteCleanup,   [Incomplete,   IncompleteCleanup,  IncompleteDeclined,  Cleanup,  IncompleteCleanup,  Cleanup]),
    (IncompleteDeclined,  [Incomplete,   IncompleteCleanup,  IncompleteDeclined,  Declined, IncompleteDeclined, Declined]),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const TRANSITIONS: [Transition; 6] = [
        Transition::Cleaned,
        Transition::CleanupFailed,
        Transition::CleanupDeclined,
        Transition::Reverted,
        Transition::RevertFailed,
        Transition::Closed,
    ];

    /// The two halves of an obligation, each with a rule of its own.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Half {
        Done,
        Open,
        Declined,
        Failed,
    }

    fn halves(obligation: Obligation) -> (Half, Half) {
        let cleanup = match obligation {
            _ if obligation.owes_cleanup() => Half::Open,
            _ if obligation.is_declined() => Half::Declined,
            _ => Half::Done,
        };
        let revert = match obligation {
            _ if obligation.is_revert_incomplete() => Half::Failed,
            _ if obligation.is_revertible() => Half::Open,
            _ => Half::Done,
        };
        (cleanup, revert)
    }

    #[test]
    fn the_table_is_in_the_order_of_the_declarations() {
        for (at, (obligation, _)) in TABLE.into_iter().enumerate() {
            assert_eq!(obligation as usize, at);
        }
        for (at, transition) in TRANSITIONS.into_iter().enumerate() {
            assert_eq!(transition as usize, at);
        }
        let all: std::collections::HashSet<_> = TABLE
            .iter()
            .map(|(obligation, _)| halves(*obligation))
            .map(|halves| format!("{halves:?}"))
            .collect();
        assert_eq!(all.len(), TABLE.len(), "no two obligations mean the same");
    }

    /// Cleanup and revert are settled each on its own: a transition of one leaves the other as it is.
    #[test]
    fn every_cell_follows_from_the_rules_of_its_halves() {
        for (before, row) in TABLE {
            for (transition, after) in TRANSITIONS.into_iter().zip(row) {
                let (cleanup, revert) = halves(before);
                let expected = match transition {
                    Transition::Cleaned => (Half::Done, revert),
                    _ if transition == Transition::CleanupFailed && cleanup != Half::Done => {
                        (Half::Open, revert)
                    }
                    _ if transition == Transition::CleanupDeclined && cleanup != Half::Done => {
                        (Half::Declined, revert)
                    }
                    Transition::CleanupFailed | Transition::CleanupDeclined => (cleanup, revert),
                    Transition::RevertFailed if revert == Half::Done => (cleanup, revert),
                    Transition::RevertFailed => (cleanup, Half::Failed),
                    Transition::Reverted | Transition::Closed => (cleanup, Half::Done),
                };
                assert_eq!(halves(after), expected, "{before:?} after {transition:?}");
                assert_eq!(before.after(transition), after);
            }
        }
    }

    #[test]
    fn a_start_owes_its_cleanup_and_its_revert_where_failures_are_reverted() {
        assert_eq!(halves(Obligation::of_a_start(false)), (Half::Open, Half::Done));
        assert_eq!(halves(Obligation::of_a_start(true)), (Half::Open, Half::Open));
    }

    /// `docs/obligations.md` shows the table as it is.
    #[test]
    fn the_page_shows_the_table() {
        let mut drawn = String::from("| owed |");
        TRANSITIONS.iter().for_each(|transition| _ = write!(drawn, " {transition:?} |"));
        drawn.push_str("\n| --- |");
        TRANSITIONS.iter().for_each(|_| drawn.push_str(" --- |"));
        for (before, row) in TABLE {
            let _ = write!(drawn, "\n| **{before:?}** |");
            for after in row {
                let _ = if after == before { write!(drawn, " |") } else { write!(drawn, " {after:?} |") };
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/obligations.md");
        let page = std::fs::read_to_string(path).expect("docs/obligations.md");
        let (mut head, mut tail) = (String::new(), String::new());
        let mut parts = page.split("<!-- table -->\n");
        head.push_str(parts.next().unwrap_or_default());
        tail.push_str(parts.nth(1).unwrap_or_default());
        let current = format!("{head}<!-- table -->\n{drawn}\n<!-- table -->\n{tail}");
        if std::env::var_os("RENEW").is_some() {
            std::fs::write(path, &current).expect("docs/obligations.md");
        } else {
            assert!(page == current, "docs/obligations.md is stale: run this test with RENEW=1");
        }
    }
}

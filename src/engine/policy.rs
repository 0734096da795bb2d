//! After a failure: what is reverted, and in which order.
//!
//! Pure.

/// A run of a job, as far as the order of reverts is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// Counts runs in the order of their starts.
    pub(crate) order: u64,
    /// Whether it is of a job that has failed for good.
    pub(crate) has_failed: bool,
}

/// The places of `runs` in the order in which they are reverted: those of the jobs that failed, then the others; each in
/// the reverse order of their starts.
pub(crate) fn undo_order(runs: &[Started]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..runs.len()).collect();
    places.sort_by_key(|place| {
        let run = runs[*place];
        (!run.has_failed, std::cmp::Reverse(run.order))
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_comes_first_and_the_rest_in_reverse() {
        let runs: Vec<Started> = [(1, false), (2, true), (3, false), (4, true), (5, false)]
            .map(|(order, has_failed)| Started { order, has_failed })
            .into();
        let order: Vec<u64> = undo_order(&runs).into_iter().map(|place| runs[place].order).collect();
        assert_eq!(order, [4, 2, 5, 3, 1]);
    }
}

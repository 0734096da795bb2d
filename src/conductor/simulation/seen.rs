//! What goes wrong in runs, counted.

/// What has happened in runs, so that a run in which nothing goes wrong is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) crashes: u64,
    pub(super) pauses: u64,
    pub(super) lost_calls: u64,
    pub(super) lost_answers: u64,
    pub(super) takeovers: u64,
    pub(super) fenced: u64,
    pub(super) late_effects: u64,
    pub(super) deaths: u64,
    pub(super) releases: u64,
    pub(super) cancelled: u64,
    pub(super) retried: u64,
    pub(super) drains: u64,
    pub(super) away: u64,
}

impl Seen {
    fn all(&self) -> [(&'static str, u64); 13] {
        [
            ("crashes", self.crashes),
            ("pauses", self.pauses),
            ("lost calls", self.lost_calls),
            ("lost answers", self.lost_answers),
            ("takeovers", self.takeovers),
            ("refused appends", self.fenced),
            ("effects after the lease", self.late_effects),
            ("deaths of agents", self.deaths),
            ("releases", self.releases),
            ("cancelled postings", self.cancelled),
            ("retried postings", self.retried),
            ("drains", self.drains),
            ("times without a board", self.away),
        ]
    }

    pub(super) fn add(&mut self, other: &Seen) {
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.lost_calls += other.lost_calls;
        self.lost_answers += other.lost_answers;
        self.takeovers += other.takeovers;
        self.fenced += other.fenced;
        self.late_effects += other.late_effects;
        self.deaths += other.deaths;
        self.releases += other.releases;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.drains += other.drains;
        self.away += other.away;
    }

    /// Asserts that each of them has happened.
    pub(super) fn everything(&self) {
        for (what, times) in self.all() {
            assert!(times > 0, "no {what} in all runs: {self:?}");
        }
    }
}

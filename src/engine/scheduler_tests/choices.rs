//! Who decides what the rules leave open: which of several tries ends first, and how long it took.

/// Picks one of so many options.
pub(super) trait Choices {
    fn pick(&mut self, options: usize) -> usize;
}

/// Always the first: each try ends as soon as it can.
pub(super) struct First;

impl Choices for First {
    fn pick(&mut self, _: usize) -> usize {
        0
    }
}

/// What a random test was handed, again from the start when it is used up.
#[derive(Clone, Debug)]
pub(super) struct Given {
    picks: Vec<u8>,
    at: usize,
}

impl Given {
    pub(super) fn new(picks: Vec<u8>) -> Given {
        Given { picks, at: 0 }
    }
}

impl Choices for Given {
    fn pick(&mut self, options: usize) -> usize {
        let pick = self.picks.get(self.at % self.picks.len().max(1)).copied().unwrap_or(0);
        self.at += 1;
        usize::from(pick) % options
    }
}

/// Every sequence of choices there is, one after the other.
#[derive(Debug, Default)]
pub(super) struct Every {
    /// (picked, of so many) from the first choice on.
    path: Vec<(usize, usize)>,
    at: usize,
}

impl Every {
    /// Goes on to the next sequence; says whether there is one.
    pub(super) fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((picked, options)) = self.path.last_mut() {
            *picked += 1;
            if picked < options {
                return true;
            }
            self.path.pop();
        }
        false
    }
}

impl Choices for Every {
    fn pick(&mut self, options: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push((0, options));
        }
        let (picked, of) = self.path[self.at];
        assert_eq!(of, options, "the same choices lead to the same place");
        self.at += 1;
        picked
    }
}

#[test]
fn every_sequence_of_choices_comes_once() {
    let mut every = Every::default();
    let mut seen = Vec::new();
    loop {
        let first = every.pick(3);
        // Only one branch has a second choice.
        seen.push((first, if first == 1 { every.pick(2) } else { 0 }));
        if !every.advance() {
            break;
        }
    }
    assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (2, 0)]);
}

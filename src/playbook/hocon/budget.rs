//! How much resolving may take, and what it has found wrong: work, size and depth are counted as it goes, and what would
//! take too much ends all of it.

use super::limits;
use super::located::Data;
use super::located::{Located, Pos};

/// Something wrong, at a place.
pub(super) struct Wrong {
    pub(super) pos: Pos,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// So many layers that are looked at are a step.
const LOOKS: usize = 16;

/// So many frames that are walked over are a look.
const FRAMES: usize = 4;

/// What was taken so far, and what is wrong.
#[derive(Default)]
pub(super) struct Budget {
    pub(super) problems: Vec<Wrong>,
    /// It would have taken too much, and nothing more is evaluated.
    pub(super) halted: bool,
    pub(super) steps: usize,
    /// What was looked at on the ways of paths.
    pub(super) layers: usize,
    spent: usize,
}

impl Budget {
    pub(super) fn wrong(&mut self, pos: Pos, message: impl Into<String>, hint: Option<String>) -> Located {
        if self.problems.len() < limits::PROBLEMS && !self.halted {
            self.problems.push(Wrong { pos, message: message.into(), hint });
        }
        Located::new(Data::Bad, pos)
    }

    /// Ends all, since it would take too much.
    fn halt(&mut self, pos: Pos, message: String) -> Located {
        let hint = "look for substitutions that refer to each other many times".to_owned();
        let bad = self.wrong(pos, message, Some(hint));
        self.halted = true;
        bad
    }

    /// Counts work; says whether it may go on.
    pub(super) fn step(&mut self, pos: Pos) -> bool {
        self.steps += 1;
        if self.steps > limits::STEPS {
            self.halt(pos, format!("this takes more than {} steps to work out", limits::STEPS));
        }
        !self.halted
    }

    /// Counts looks, each of which is much less than a step; says whether it may go on.
    pub(super) fn looked(&mut self, looks: usize, pos: Pos) -> bool {
        let before = self.layers / LOOKS;
        self.layers += looks;
        let steps = self.layers / LOOKS - before;
        if steps == 0 {
            return !self.halted;
        }
        self.steps += steps - 1;
        self.step(pos)
    }

    /// Counts a walk over so many frames, which grows with the depth at which it is done.
    pub(super) fn walked(&mut self, frames: usize, pos: Pos) -> bool {
        self.looked(frames / FRAMES, pos)
    }

    /// Counts what is made; says whether it may be.
    pub(super) fn spend(&mut self, weight: usize, pos: Pos) -> bool {
        self.spent = self.spent.saturating_add(weight);
        if weight > limits::WEIGHT || self.spent > 4 * limits::WEIGHT {
            self.halt(
                pos,
                format!("with all substitutions this would be more than {} MiB", limits::WEIGHT >> 20),
            );
        }
        !self.halted
    }

    /// A new value, unless it is too large or too deep.
    pub(super) fn checked(&mut self, val: Located, pos: Pos) -> Located {
        let size = val.size();
        if size.weight > limits::WEIGHT {
            let message =
                format!("with all substitutions this would be more than {} MiB", limits::WEIGHT >> 20);
            return self.halt(pos, message);
        }
        if size.depth > limits::DEPTH {
            let message = format!("values are nested more than {} deep here", limits::DEPTH);
            return self.wrong(pos, message, None);
        }
        val
    }
}

//! What every board has to keep to: one suite, which each backend passes.
//!
//! A backend of one's own is tested by giving it a [`Subject`]:
//!
//! ```
//! use dojob::board::{Board, MemoryBoard, conformance};
//!
//! struct Memory(MemoryBoard);
//!
//! impl conformance::Subject for Memory {
//!     fn open(&self) -> Box<dyn Board> {
//!         Box::new(self.0.clone())
//!     }
//! }
//!
//! # if false {
//! conformance::keeps_the_contract(|| Memory(MemoryBoard::new()));
//! # }
//! ```

mod appends;
mod claims;
mod crowd;
mod posts;
mod requests;
mod subject;
mod wakes;

pub use self::subject::Subject;

/// A test of one rule: what it says, and how it is asked.
pub type Test = (&'static str, fn(&dyn Subject));

/// All tests. Each wants an empty board of its own.
pub const TESTS: &[Test] = &[
    ("a post is idempotent under its id, and other content is refused", posts::idempotent),
    ("a post that is tied to a key is made with the key's change, or not at all", posts::tied_to_a_key),
    ("keys change only where they are as expected", posts::keys),
    ("postings are listed by age, by state, in pages and by id", posts::lists),
    ("values are taken up to the limit, and refused past it", posts::limits),
    ("postings that have ended are removed with their logs, others are not", posts::removal),
    ("the next posting is the one with the highest priority, then the oldest", claims::order),
    ("terms grow, and each claim is in the log", claims::terms),
    ("a renewal keeps a claim, and a lease that has run out does not hold", claims::expiry),
    ("a lease of another boot has run out", claims::other_boot),
    (
        "a posting is not claimed before its time, nor by other hosts, nor by whom has refused it",
        claims::conditions,
    ),
    ("a released posting is claimed again, and its former owner is fenced", claims::release),
    ("renewals of many claims are made in one call, each with an answer of its own", claims::renewals),
    ("appends are numbered per term, and made as a whole or not at all", appends::positions),
    ("the same append again is accepted, at every position", appends::repeated),
    ("after a takeover every append of the former owner is refused, at every position", appends::stale),
    ("a snapshot takes the place of the facts so far", appends::snapshot),
    ("a step that closes a posting ends its claim", appends::closing),
    ("steps that are not possible are refused", appends::illegal_steps),
    ("a log is read in pages", appends::pages),
    ("what people ask for is handed to the owner until it is dealt with", requests::handed_on),
    (
        "what was never begun is cancelled at once, and what has ended is opened again at once",
        requests::at_once,
    ),
    ("whoever watches is woken, or finds by polling what has happened", wakes::found),
    ("16 threads never have one posting at once", crowd::exclusive),
    ("of 16 threads that take over one posting one succeeds", crowd::takeover),
    ("a key that 16 threads count up loses none of their counts", crowd::counting),
    ("10,000 postings are claimed in their order", crowd::many),
];

/// Runs all tests, each on a board that `make` makes.
///
/// # Panics
/// When a rule is broken; the message names it.
pub fn keeps_the_contract<S: Subject>(make: impl Fn() -> S) {
    for (rule, test) in TESTS {
        let subject = make();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&subject)));
        assert!(outcome.is_ok(), "the board breaks this rule: {rule}");
    }
}

//! The board: where postings, claims and their logs are kept, so that whichever conductor can runs a flow to its end.
//!
//! Knows what is claimed by whom and in which order things were written down; neither jobs nor how a posting is run. [`Board`] is the
//! contract; [`MemoryBoard`] and [`SqliteBoard`] keep it, and [`conformance`] is what each backend has to pass.
//!
//! # What a term is
//!
//! A posting has at most one *owner*, the conductor that has claimed it last. A claim is a record in the posting's log,
//! `Claimed { term }`, and its term is the last one in that log plus one. So terms grow, no two claims of a posting have the same
//! term, and the order of claims is the order of the log. The claim is effective once the store has accepted the record, whether or not the
//! conductor hears of it.
//!
//! Every append of an owner names its term and its *position*: how many records the owner has appended in that term before. The
//! store compares the term with the posting's, in the transaction that writes. An append of an earlier term is refused
//! ([`BoardError::Fenced`]), wherever its position is, and nothing of it is kept: two owners' records are never merged. An append of the
//! present term at the next position is written. One at an earlier position is answered as accepted when it is word for word
//! what is there, since the answer to the first may have been lost; anything else is a [`BoardError::Conflict`].
//!
//! Two things fence, and nothing else: a new claim, and a [release](Board::release). In particular the end of a lease does not: an
//! owner that comes late and finds its term unchanged may go on, since nobody has begun anything in between.
//!
//! # Whose clock counts
//!
//! A *lease* is how long an owner may stay silent before another conductor may take its posting over. It begins with the claim and
//! anew with each renewal, and it decides one question alone: whether a claim by somebody else is accepted. Three
//! clocks are involved, and no two of them are compared with each other:
//!
//! * **The store's clock** says whether a lease has run out. A server has one of its own. [`SqliteBoard`] is a file that processes
//!   of one machine share, and its clock is `CLOCK_BOOTTIME` of that machine, which goes on while the machine sleeps and is never
//!   set. A reading of it means something only together with the id of the boot: a lease of another boot has run out, since its
//!   owner cannot have survived. A store that has no clock to offer lets a claimant take over after it has seen the lease unchanged for its
//!   whole length and a margin, on the claimant's own `CLOCK_BOOTTIME`.
//! * **The owner's clock**, `CLOCK_BOOTTIME` too, says when the owner stops: at the time at which it *sent* its last accepted
//!   renewal, plus the lease, minus a margin ([`Lease::stops_at`]). It counts from sending, not from the answer, because the store cannot have accepted the
//!   renewal earlier than it was sent. Were it `CLOCK_MONOTONIC`, a laptop that wakes up from a night's sleep would
//!   still believe in its lease.
//! * **The time of day** is for people and plans: how old a posting is, `--at`, when something happened. It can jump, and decides
//!   nothing about ownership.
//!
//! Time is an argument of each call ([`Now`]), so that tests and simulations need not wait. A store that has to wait for others,
//! for a lock say, decides by the time at which it was called. That is earlier than the time at which it writes, so that a
//! claimant sees a lease as younger than it is, and an owner gets no more time than it counts on.
//!
//! Containers with a time namespace of their own have a `CLOCK_BOOTTIME` of their own as well. Those that share a SQLite board have to
//! share the clock.
//!
//! # What the owner does
//!
//! It renews at a third of the lease, all its postings in one transaction. Before each effect on the world it appends the record
//! that announces the effect, waits for the answer, and looks at the clock: past the time to stop it begins nothing more and ends
//! its commands, whether or not anybody has told it anything. An answer that does not come is not an answer: it repeats the
//! append, word for word, until it is accepted, refused, or the time to stop has come.
//!
//! Between the last look at the clock and the effect remains a gap, in which the process may be stopped for as long as anybody likes.
//! Nothing on the owner's side can close it. So fencing guards the *log*; effects on the world are at least once, and two
//! owners' effects may overlap, but only those that were begun before the lease ended. Jobs that talk to something that can
//! refuse a stale writer hand it the term.
//!
//! # What happens at each failure
//!
//! | what fails | what follows |
//! | --- | --- |
//! | the owner dies | its lease runs out, another conductor claims the posting with the next term, reads the log, ends what is left of commands where they are at hand, pays what is owed, and checks before it runs anything |
//! | the owner is stopped for longer than its lease, and goes on | its next append and its next renewal are refused; what it had begun before may still take effect once |
//! | the machine sleeps | as above; the lease runs on meanwhile |
//! | the machine starts anew | leases of the earlier boot have run out at once |
//! | the answer to a claim is lost | the posting is claimed by a conductor that does not know; the lease runs out, and the claim counts as lost |
//! | the answer to an append is lost | the append is repeated and answered as accepted; nothing is written twice |
//! | the answer to the last append is lost, the one that closes the posting | the same: it is of the present term until somebody claims the posting again, and nobody claims what is closed |
//! | the answer to a renewal is lost | the next one is accepted; the owner counts from the last one that was answered, and so stops early rather than late |
//! | the store cannot be reached | the owner goes on until its time to stop, and no longer; conductors wait, and say so once |
//! | the disk is full | appends fail and nothing is begun; renewals fail too, so that the owner stops in time |
//! | a wake-up is lost | the next poll finds the work: notification only wakes |
//! | a wake-up comes twice, or for nothing | a poll finds nothing to do |
//! | a person takes a claim away | it is a release: the owner is fenced, and hears of it at its next renewal or append |
//! | a person cancels or retries | a termless request, which the owner reads with its next renewal; it fences nobody |
//! | the power fails | what each backend's page says survives, survives; what was announced and not kept was not begun under [`Durability::Full`] |
//! | the board's file was written by a newer version | it is refused with [`BoardError::Newer`], and left as it is |

pub mod conformance;
mod contract;
mod error;
#[cfg(test)]
mod faulty;
mod history;
mod lease;
mod memory;
mod posting_log;
mod rules;
mod sqlite;
mod values;

pub use self::contract::{Board, Watching};
pub use self::error::BoardError;
pub use self::history::{HistoryError, history_of};
pub use self::lease::{DEFAULT_LEASE, Lease, Now};
pub use self::memory::MemoryBoard;
pub use self::posting_log::PostingLog;
pub use self::sqlite::{SqliteBoard, SqliteOptions};
pub use self::values::{
    Accepted, Append, Claim, ClaimRequest, Discard, Durability, Entry, Held, InvalidId, Item, KeyChange,
    NewPosting, Owner, Posting, PostingId, Query, Release, Renewal, Request, VALUE_LIMIT,
};

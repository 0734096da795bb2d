//! How much a playbook may be. Each bound is far above what people write and far below what hurts a machine.

/// The bytes of one file, or of what comes on standard input.
pub(crate) const FILE: usize = 16 << 20;
/// The bytes of all files together, each counted as often as it is included.
pub(crate) const FILES: usize = 32 << 20;
/// The words and signs of one file, estimated before they are taken apart.
pub(crate) const WORDS: usize = 4_000_000;
/// How often files are included.
pub(crate) const INCLUDES: usize = 1_000;
/// Files that include each other, one in the other.
pub(crate) const INCLUDE_DEPTH: usize = 32;
/// Brackets in brackets, keys in keys, and both together.
pub(crate) const DEPTH: usize = 100;
/// The names of one dotted path.
pub(crate) const PATH: usize = 64;
/// Fields whose values are being looked for at once, each because of the one before.
pub(crate) const CHAIN: usize = 1_000;
/// The bytes of the value, about, with everything put in its place; also those of any part on the way.
pub(crate) const WEIGHT: usize = 128 << 20;
/// What is computed on the way, in values.
pub(crate) const STEPS: usize = 2_000_000;
/// Problems that are looked for.
pub(crate) const PROBLEMS: usize = 1_000;
/// The stack of the thread that reads; how much of it is touched is bounded by `DEPTH` and `CHAIN`.
pub(crate) const STACK: usize = 128 << 20;

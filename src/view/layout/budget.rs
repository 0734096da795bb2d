//! How long a search for a better picture may take.

/// Steps that a method may take which makes something better and may end early: in proportion to the size, so that
/// large graphs take no longer than that, and generous with small ones.
pub(super) fn budget(size: usize) -> u64 {
    20_000_000 + 100 * size as u64
}

//! A mistake in the text of a document, with its place.

/// A line and a column, from 1.
pub(super) type At = (usize, usize);

/// What is wrong, and what to do.
pub(super) struct SyntaxError {
    pub(super) at: At,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// About a bracket that is never closed.
    pub(super) is_unclosed: bool,
    /// About `:` or `=` where none can be.
    pub(super) is_separator: bool,
}

impl SyntaxError {
    pub(super) fn new(at: At, message: impl Into<String>, hint: Option<String>) -> Self {
        SyntaxError { at, message: message.into(), hint, is_unclosed: false, is_separator: false }
    }
}

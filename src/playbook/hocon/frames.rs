//! What is being evaluated: a frame for each value that was written to a field, the innermost last, and what the value in
//! hand depends on.

use super::located::Located;
use super::tree::FieldId;

/// The value of a field is needed for itself, and looking back does not help: the frame in which it is being looked for.
pub(super) struct Cycle(pub(super) usize);

/// What an evaluation comes to; `None`: there is no value.
pub(super) type Evaluated = Result<Option<Located>, Cycle>;

/// A value that is being looked for.
pub(super) struct Frame {
    pub(super) field: FieldId,
    /// Which of the field's values.
    pub(super) write: usize,
    /// Whether what is looked for meanwhile sees only what was written before.
    pub(super) cuts: bool,
    /// Of `+=` upon `+=`, what there is already.
    pub(super) sofar: Option<Vec<Located>>,
    /// The frame of the same field around this one.
    pub(super) outer: Option<usize>,
}

/// The frames that are open.
pub(super) struct Frames {
    pub(super) stack: Vec<Frame>,
    /// By field, its innermost frame.
    pub(super) innermost: Vec<Option<usize>>,
    /// The outermost frame that what is being computed depends on.
    pub(super) lowest: usize,
    /// The frame that last hid something.
    pub(super) cut: Option<usize>,
}

impl Frames {
    /// None, of so many fields.
    pub(super) fn new(fields: usize) -> Self {
        Frames { stack: Vec::new(), innermost: vec![None; fields], lowest: usize::MAX, cut: None }
    }
}

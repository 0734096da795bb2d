//! What all jobs that touch files have in common: looking at a path for a check, writing atomically, mode and owner,
//! and telling differences.

mod access_list;
pub(crate) mod at;
mod beside;
pub(crate) mod chown;
pub(crate) mod differ;
pub(crate) mod edit;
pub(crate) mod edit_lock;
mod in_place;
pub(crate) mod inspect;
mod lock;
mod mode;
pub(crate) mod owner;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod removal;
mod target;
pub(crate) mod validate;
pub(crate) mod walk;
pub(crate) mod write;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod xattr;

pub use self::owner::{Group, Mode, ModeError, Owner};
pub use self::validate::Validate;

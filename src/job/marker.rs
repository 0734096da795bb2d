//! Tells the three conversions of [`IntoJob`](crate::IntoJob) apart. These types are never named by users: the compiler finds them.

#[cfg(feature = "playbook")]
use super::kind::JobKind;

/// For a [`Job`](crate::Job).
#[derive(Debug)]
pub enum Checked {}
/// For a [`RunOnlyJob`](crate::RunOnlyJob).
#[derive(Debug)]
pub enum RunOnly {}
/// For a [`DummyJob`](crate::DummyJob).
#[derive(Debug)]
pub enum Dummy {}
/// For an [`AnyJob`](crate::AnyJob).
#[derive(Debug)]
pub enum Any {}
/// For a [`Group`](crate::Group).
#[derive(Debug)]
pub enum Group {}

/// A job trait, as a value.
#[cfg(feature = "playbook")]
pub trait Kind: sealed::Sealed {
    /// Which one.
    const KIND: JobKind;
}

#[cfg(feature = "playbook")]
mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Checked {}
    impl Sealed for super::RunOnly {}
    impl Sealed for super::Dummy {}
}

#[cfg(feature = "playbook")]
impl Kind for Checked {
    const KIND: JobKind = JobKind::Job;
}

#[cfg(feature = "playbook")]
impl Kind for RunOnly {
    const KIND: JobKind = JobKind::RunOnly;
}

#[cfg(feature = "playbook")]
impl Kind for Dummy {
    const KIND: JobKind = JobKind::Dummy;
}

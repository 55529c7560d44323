//! What an observer learns from encrypted traffic, in numbers.
//!
//! Takes flows; gives [`calls`]. Will take the marks of a run's steps too and give [`Leakage`] entries, each with its confidence
//! interval: none is estimated yet, and a report's `leakage` is empty until something is.

mod calls;

pub use crate::model::Leakage;
pub use calls::calls;

//! What an observer learns from encrypted traffic, in numbers with confidence intervals.
//!
//! Will take flows and the marks of a run's steps and give [`Leakage`] entries; nothing is estimated yet, and a report's `leakage`
//! is empty until something is. The type says what every estimate has to carry.

pub use crate::model::Leakage;

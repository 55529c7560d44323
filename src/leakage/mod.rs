//! What an observer learns from encrypted traffic, in numbers with confidence intervals.
//!
//! Takes what runs of a scenario showed (bytes by dose); gives [`Leakage`] entries and what they mean. So far: how much goes up
//! for each contact of the address book ([`dose`]). Knows nothing of claims and of how results are shown.

pub mod dose;
mod random;

pub use crate::model::Leakage;

//! What an observer learns from encrypted traffic, in numbers with confidence intervals.
//!
//! Takes flows, and what runs of a scenario showed (bytes by dose); gives [`calls`], and what goes up for each contact of the address
//! book ([`dose`], over pooled runs [`uploads`]). [`Leakage`] entries of other measures are not estimated yet. Knows nothing of claims and of how results are shown.

mod calls;
pub mod dose;
mod uploads;

pub use crate::model::Leakage;
pub use calls::{Known, calls};
pub use uploads::{METRIC as DOSE_RESPONSE, STEPS, uploads};

//! metaleak measures what a messenger tells the network, and whom.
//!
//! Data goes one way, left to right; a module knows those on its left, never those on its right:
//!
//! ```text
//! capture ──► dissect ──► destination ─┐
//!    ▲            │                    ├──► claims ──► report
//! scenario        └──► payload ──► leakage ┘              └──► drift
//! ```

pub mod bundle;
pub mod capture;
pub mod claims;
pub mod cli;
pub mod controls;
pub mod destination;
pub mod dissect;
pub mod drift;
pub mod fault;
pub mod leakage;
pub mod model;
pub mod noise;
pub mod payload;
pub mod pipeline;
mod random;
pub mod report;
pub mod scenario;
mod suffix;

//! cli: see the module table of ARCHITECTURE.md.

pub mod db;

//! payload: see the module table of ARCHITECTURE.md.

//! drift: see the module table of ARCHITECTURE.md.

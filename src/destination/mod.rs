//! destination: see the module table of ARCHITECTURE.md.

//! No recording: to try a driver, or where another program records.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Backend, BackendFault, BackendInfo, Ending, Session, Take};
use crate::capture::MarkEvent;

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "none",
    purpose: "no recording: to try a driver and a scenario",
    needs: None,
    vantage: None,
    make: |_| Ok(Box::new(Nothing)),
};

struct Nothing;

impl Backend for Nothing {
    fn start(&mut self, _take: &Take) -> Result<Box<dyn Session>, BackendFault> {
        Ok(Box::new(Nothing))
    }
}

impl Session for Nothing {
    fn mark(&mut self, _event: MarkEvent) {}

    fn gone(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    fn finish(self: Box<Self>) -> Ending {
        Ending::default()
    }
}

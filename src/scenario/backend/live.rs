//! An interface of this machine, through libpcap: the best place is a router that the test device alone uses.

use super::{Backend, BackendInfo};

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "live",
    purpose: "an interface of this machine (--interface), e.g. of the router that the device uses",
    needs: None,
    vantage: None,
    make,
};

#[cfg(not(feature = "live"))]
fn make(_options: &super::CaptureOptions) -> Result<Box<dyn Backend>, String> {
    Err("this metaleak was built without live capture; build it with the feature `live`, or take --capture command".into())
}

#[cfg(feature = "live")]
fn make(options: &super::CaptureOptions) -> Result<Box<dyn Backend>, String> {
    let interface = options.interface.clone().ok_or(
        "--capture live wants --interface (metaleak capture --list-interfaces shows them); --capture none records nothing",
    )?;
    Ok(Box::new(with_libpcap::Live { interface, filter: options.filter.clone() }))
}

#[cfg(feature = "live")]
mod with_libpcap {
    use super::super::recorder::{self, Of, Opened, SNAP_LENGTH};
    use super::super::{BackendFault, Session, Take};
    use crate::capture::Tap;
    use crate::capture::live::{self, Settings};

    /// Bytes of the kernel's buffer.
    const BUFFER: u32 = 64 << 20;

    pub(super) struct Live {
        pub(super) interface: String,
        pub(super) filter: Option<String>,
    }

    impl super::Backend for Live {
        fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault> {
            let (interface, filter) = (self.interface.clone(), self.filter.clone());
            let open = move || -> Opened {
                let settings =
                    Settings { snap_length: SNAP_LENGTH, buffer: BUFFER, promiscuous: true, filter };
                let tap = live::Live::open(&interface, &settings).map_err(|e| e.to_string())?;
                let link = tap.link();
                Ok((Box::new(tap) as Box<dyn Tap>, link))
            };
            let of = Of {
                interface: self.interface.clone(),
                filter: self.filter.clone(),
                recorder: "libpcap".into(),
            };
            recorder::start(take, of, Box::new(open), None)
        }
    }
}

//! tcpdump on a rooted phone, over adb: all traffic of the device, at the device.
//!
//! `adb exec-out` streams what tcpdump writes; its process id and its last words go to files below `/data/local/tmp`, by which it is
//! ended in order and asked what it dropped.

use super::recorder::Of;
use super::stream::{self, Ask};
use super::{Backend, BackendFault, BackendInfo, CaptureOptions, Session, Take, quoted};
use crate::model::Vantage;

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "adb-tcpdump",
    purpose: "tcpdump on a rooted phone, streamed over adb",
    needs: Some(("adb", &["version"], "adb")),
    vantage: Some(Vantage::Device),
    make: |options| Ok(Box::new(AdbTcpdump { options: options.clone() })),
};

/// Where the phone keeps the process id and the last words.
const PLACE: &str = "/data/local/tmp/metaleak-tcpdump";

struct AdbTcpdump {
    options: CaptureOptions,
}

impl AdbTcpdump {
    /// A line for a shell with root's rights.
    fn as_root(&self, how: &str, line: &str) -> std::process::Command {
        let mut command = self.options.adb();
        let su = self.options.set.get("su").map_or("su -c", String::as_str);
        command.args([how, &format!("{su} {}", quoted(line))]);
        command
    }
}

impl Backend for AdbTcpdump {
    fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault> {
        let tcpdump = super::tcpdump(&self.options);
        let start = format!("echo $$ >{PLACE}.pid; exec {tcpdump} 2>{PLACE}.err");
        let end =
            format!("kill -TERM $(cat {PLACE}.pid); sleep 1; cat {PLACE}.err; rm -f {PLACE}.pid {PLACE}.err");
        let interface = self.options.interface.clone().unwrap_or_else(|| "any".into());
        let of = Of {
            interface: format!("phone:{interface}"),
            filter: self.options.filter.clone(),
            recorder: "tcpdump over adb".into(),
        };
        stream::start(self.as_root("exec-out", &start), Ask::Run(self.as_root("shell", &end)), take, of)
    }
}

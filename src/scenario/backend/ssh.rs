//! tcpdump on another machine, over ssh: a router that is no computer of one's own desk.
//!
//! The other side's tcpdump is ended in order by closing its input, so that it says how many packets it dropped.

use std::process::Command;

use super::recorder::Of;
use super::stream::{self, Ask};
use super::{Backend, BackendFault, BackendInfo, CaptureOptions, Session, Take};

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "ssh",
    purpose: "tcpdump on another machine (--remote root@router), streamed over ssh",
    needs: Some(("ssh", &["-V"], "openssh-client")),
    vantage: None,
    make: |options| match &options.remote {
        // A name that begins with a hyphen would be an option of ssh.
        Some(remote) if !remote.starts_with('-') && !remote.is_empty() => {
            Ok(Box::new(Ssh { options: options.clone(), remote: remote.clone() }))
        }
        _ => Err("--capture ssh wants --remote, e.g. --remote root@router".into()),
    },
};

struct Ssh {
    options: CaptureOptions,
    remote: String,
}

impl Backend for Ssh {
    fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault> {
        let mut command = Command::new(self.options.tool("ssh"));
        // Nobody is there to type a password, and a host that is gone must be noticed.
        command.args(["-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]);
        command.arg(&self.remote);
        command.arg(format!(
            "exec 3<&0; {} </dev/null & p=$!; (cat <&3; kill -TERM $p) >/dev/null 2>&1 & wait $p",
            super::tcpdump(&self.options)
        ));
        let interface = self.options.interface.clone().unwrap_or_else(|| "any".into());
        let of = Of {
            interface: format!("{}:{interface}", self.remote),
            filter: self.options.filter.clone(),
            recorder: "tcpdump over ssh".into(),
        };
        stream::start(command, Ask::CloseInput, take, of)
    }
}

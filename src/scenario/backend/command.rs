//! Any program that writes pcap to its standard output, e.g. `tcpdump -U -w -` on another machine by other means than ssh.

use std::process::Command;

use super::recorder::Of;
use super::stream::{self, Ask};
use super::{Backend, BackendFault, BackendInfo, Session, Take};

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "command",
    purpose: "any program that writes pcap to its standard output (--capture-command)",
    needs: None,
    vantage: None,
    make: |options| match options.command.split_first() {
        Some((program, arguments)) => {
            Ok(Box::new(Program { program: program.clone(), arguments: arguments.to_vec() }))
        }
        None => Err(
            "--capture command wants --capture-command 'PROGRAM ARGUMENT …', e.g. 'tcpdump -i eth0 -U -w -'"
                .into(),
        ),
    },
};

struct Program {
    program: String,
    arguments: Vec<String>,
}

impl Backend for Program {
    fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // Its name alone: where it lies is nobody else's concern.
        let name = std::path::Path::new(&self.program).file_name();
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        let of = Of { interface: name.clone(), filter: None, recorder: name };
        stream::start(command, Ask::Terminate, take, of)
    }
}

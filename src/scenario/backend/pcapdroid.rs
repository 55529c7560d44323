//! PCAPdroid on the phone, without root: started and stopped by intents over adb, its file pulled afterwards.
//!
//! The app's own interface (<https://github.com/emanuele-f/PCAPdroid/blob/master/docs/app_api.md>): `CaptureCtrl` with `action` start and stop,
//! `pcap_dump_mode`, `pcap_name`, `app_filter`. It is a VPN that answers handshakes itself, hence the vantage `vpn`. Further
//! extras, such as `api_key`, come from `--set pcapdroid.NAME=VALUE`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::{Backend, BackendFault, BackendInfo, CaptureOptions, Ending, Session, Take};
use crate::capture::MarkEvent;
use crate::model::Vantage;
use crate::scenario::drive::process::{self, Output};

/// As it is registered.
pub(super) static INFO: BackendInfo = BackendInfo {
    id: "pcapdroid",
    purpose: "PCAPdroid on the phone, without root, of the app alone",
    needs: Some(("adb", &["version"], "adb")),
    vantage: Some(Vantage::Vpn),
    make: |options| Ok(Box::new(Pcapdroid { options: options.clone() })),
};

/// What takes the intents.
const CONTROL: &str = "com.emanuelef.remote_capture/.activities.CaptureCtrl";
/// Where its files go.
const FOLDER: &str = "/sdcard/Download/PCAPdroid";
/// How long a call of adb may take.
const CALL: Duration = Duration::from_secs(60);

struct Pcapdroid {
    options: CaptureOptions,
}

/// Runs adb; an exit code other than 0, and what `am` calls an error, is one.
fn adb(options: &CaptureOptions, arguments: &[&str]) -> Result<Output, String> {
    let mut command = options.adb();
    command.args(arguments);
    let never = AtomicBool::new(false);
    let output = process::run(&mut command, None, Instant::now() + CALL, &never, None);
    let output = output.map_err(|e| e.to_string())?;
    if output.success() && !output.text().contains("Error:") {
        return Ok(output);
    }
    Err(format!("adb {}: {}", arguments.first().copied().unwrap_or_default(), output.last_line()))
}

impl Backend for Pcapdroid {
    fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault> {
        let name = take.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("metaleak-{}-{name}.pcap", std::process::id());
        let mut line = format!(
            "am start -e action start -e pcap_dump_mode pcap_file -e pcap_name {}",
            super::quoted(&name)
        );
        // Whoever wants all apps, told apart by their trailer, gives an empty filter.
        let given = self.options.set.contains_key("pcapdroid.app_filter");
        if let Some(package) = self.options.package.as_ref().filter(|_| !given) {
            line.push_str(&format!(" -e app_filter {}", super::quoted(package)));
        }
        for (key, value) in &self.options.set {
            if let Some(key) = key.strip_prefix("pcapdroid.").filter(|_| !value.is_empty()) {
                line.push_str(&format!(" -e {} {}", super::quoted(key), super::quoted(value)));
            }
        }
        line.push_str(&format!(" -n {CONTROL}"));
        adb(&self.options, &["shell", &line]).map_err(|e| {
            BackendFault(format!(
                "PCAPdroid does not start: {e}; is it installed, and was its VPN allowed once by hand?"
            ))
        })?;
        // The VPN comes up after the intent was taken.
        std::thread::sleep(Duration::from_secs(2));
        Ok(Box::new(Running { options: self.options.clone(), name, to: take.path.clone() }))
    }
}

struct Running {
    options: CaptureOptions,
    name: String,
    to: PathBuf,
}

impl Session for Running {
    fn mark(&mut self, _event: MarkEvent) {}

    fn gone(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    fn finish(self: Box<Self>) -> Ending {
        let mut ending = Ending {
            recorder: "PCAPdroid".into(),
            notes: vec![
                "PCAPdroid wrote the capture; it tells no drops, and the marks stand in this file alone"
                    .into(),
            ],
            ..Ending::default()
        };
        let stop = format!("am start -e action stop -n {CONTROL}");
        let stopped = adb(&self.options, &["shell", &stop]);
        std::thread::sleep(Duration::from_secs(1));
        let from = format!("{FOLDER}/{}", self.name);
        let to = self.to.to_string_lossy().into_owned();
        let pulled = stopped.and_then(|_| adb(&self.options, &["pull", &from, &to]));
        ending.fault = match pulled {
            Err(e) => Some(format!("the capture stays on the phone as {from}: {e}")),
            Ok(_) if !super::has_bytes(&self.to) => Some(format!("PCAPdroid's file {from} is empty")),
            Ok(_) => {
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt as _;
                    let _ = std::fs::set_permissions(&self.to, std::fs::Permissions::from_mode(0o600));
                }
                None
            }
        };
        ending
    }
}

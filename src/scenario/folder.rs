//! Files and folders of a run, which only their owner may read.
//!
//! Takes paths; a folder of a run must not be there yet, so all that is in it is the run's own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Creates a file with permissions 0600; a step that is done anew writes over what it gave before.
///
/// # Errors
/// As the system says.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Creates a file with that content.
///
/// # Errors
/// As [`create`], and when it cannot be written; then it is not left half.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(content).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

/// Creates a folder with permissions 0700; its parents as the system likes.
///
/// # Errors
/// Also when it exists.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

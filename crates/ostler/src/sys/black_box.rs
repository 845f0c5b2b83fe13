//! The black box of this process: which is mapped once, and stays until the end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use ostler_shm::black_box::memory::BlackBox;

/// Never unmapped: signal handlers write to it at any time.
static OWN: OnceLock<BlackBox> = OnceLock::new();

/// `mmap(2)` — maps the box of this process, and closes its file: a process that user code forks
/// must not write into it. Call it once.
pub(crate) fn keep(file: OwnedFd) -> io::Result<()> {
    let _ = OWN.set(BlackBox::open(&file)?);
    Ok(())
}

/// Says which programs and libraries this process has mapped.
pub(crate) fn say_modules(text: &[u8]) {
    if let Some(own) = own() {
        own.set_modules(text);
    }
}

/// The box of this process; `None` in one that is no worker.
pub(crate) fn own() -> Option<&'static BlackBox> {
    OWN.get()
}

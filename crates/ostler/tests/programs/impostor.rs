//! Impostor: what a deploy puts where a server's program belongs, and is none. For the process
//! tests.
//!
//! What it does stands at the end of its own file, which whoever deploys it has written there,
//! after `impostor:`: `exits` (with 0), `hangs`, `babbles` (at its manager, and ends with 3).

use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let own = std::fs::read("/proc/self/exe")?;
    let tail = own.get(own.len().saturating_sub(64)..).unwrap_or(&own);
    let text = String::from_utf8_lossy(tail).into_owned();
    match text.rsplit_once("impostor:").map(|(_, what)| what.trim()) {
        Some("hangs") => loop {
            std::thread::park();
        },
        Some("babbles") => {
            let inherited = std::env::var("OSTLER_INHERITANCE").ok();
            if let Some(number) = inherited.and_then(|text| text.parse().ok()) {
                babble(number);
            }
            // What the test's log may have is what is written here.
            writeln!(std::io::stderr(), "impostor: what a server is this?")?;
            Ok(ExitCode::from(3))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Says nonsense of every length to the manager.
#[allow(unsafe_code)]
fn babble(number: i32) {
    // SAFETY: whoever has started this program passes the descriptor, and nobody closes it.
    let control = unsafe { BorrowedFd::borrow_raw(number) };
    for length in 1..=200 {
        // Nobody may listen any more.
        let _ = rustix::io::write(control, &vec![0xA7; length]);
    }
}

//! A handler that does what packages say, for process tests that need a package to be surely in
//! hand.

use std::path::Path;
use std::time::Duration;

/// Carries out one order and answers with the reply.
///
/// `pid`: the number of this process. `hold PATH`: writes it to PATH, then waits until somebody
/// removes PATH. `panic`, `abort`: what they say. `spawn`: starts a program that runs for ever, and
/// answers with its number. Everything else is sent back.
pub(crate) fn obey(package: &[u8]) -> Vec<u8> {
    let order = String::from_utf8_lossy(package);
    let (word, argument) = order.split_once(' ').unwrap_or((&order, ""));
    match word {
        "pid" => std::process::id().to_string().into_bytes(),
        "hold" => hold(Path::new(argument)),
        #[allow(clippy::panic, reason = "that is the order")]
        "panic" => panic!("told to panic"),
        "abort" => std::process::abort(),
        "spawn" => match std::process::Command::new("sleep").arg("infinity").spawn() {
            Ok(child) => child.id().to_string().into_bytes(),
            Err(error) => error.to_string().into_bytes(),
        },
        _ => package.to_vec(),
    }
}

fn hold(path: &Path) -> Vec<u8> {
    if std::fs::write(path, std::process::id().to_string()).is_err() {
        return format!("cannot write {}", path.display()).into_bytes();
    }
    while path.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    b"released".to_vec()
}

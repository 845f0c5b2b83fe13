//! What this machine lets a test do. Who may not says so, and passes.

use std::process::Command;

/// Whether this test may change user ids. CI runs it as root, where it must be able to.
pub fn may_change_ids() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("NOT TESTED: changing the user id needs root");
    }
    is_root
}

/// Whether another user may run this program: a home is often closed to others, with a clone in it.
pub fn others_may_run(program: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let is_open = |path: &std::path::Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 1 != 0)
    };
    let may = program.ancestors().all(is_open);
    if !may {
        eprintln!("NOT TESTED: other users cannot reach {}", program.display());
    }
    may
}

/// Whether a program can be run through these words; some machines forbid user namespaces. `what`
/// is what a test wants to do by them.
pub fn lets_run_through(words: &[&str], what: &str) -> bool {
    let [launcher, words @ ..] = words else { return true };
    let tried = Command::new(launcher).args(words).arg("true").output();
    let problem = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped: this machine does not let a test {what}: {problem}");
    false
}

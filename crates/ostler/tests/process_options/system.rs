//! Limits of the system that options run into.

use ostler_testkit::{TestResult, TestServer};

use crate::talk::Scratch;

#[test]
fn a_limit_of_descriptors_that_leaves_none_for_clients_is_an_error_at_start() -> TestResult {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("nofile")?;
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent());
    let echo = profile.map(|profile| profile.join("examples/ostler-echo")).unwrap_or_default();
    let script = scratch.path("limited");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 64\nexec {} \"$@\"\n", echo.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let builder = TestServer::program(script)
        .set("listen", "127.0.0.1:0")
        .set("workers", 8)
        .set("reactors", 8);
    let (code, text) = builder.start_expecting_failure()?;
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("descriptors (64)") && text.contains("ulimit -n"), "{text}");
    Ok(())
}

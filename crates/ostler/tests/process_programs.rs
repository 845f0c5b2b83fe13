//! Programs that everybody has, at ports of every kind: curl, openssl and socat, where those are
//! installed.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod encrypted;
mod support;
mod talk;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use encrypted::{Authority, NAME, showing};
use ostler_testkit::{TestError, TestResult};
use support::{check, echo};
use talk::{Scratch, small_probe};

/// Seconds after which a program is ended that should have ended by itself.
const PATIENCE: &str = "60";

/// The program; `None` where it is not installed.
fn program(name: &str, arguments: &[&str]) -> Option<Command> {
    if Command::new(name).arg("--help").output().is_err() {
        eprintln!("SKIPPED: `{name}` is not installed here");
        return None;
    }
    let mut command = Command::new("timeout");
    command.args([PATIENCE, name]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Types a line into a program, and waits until the program has written it.
fn comes_back(mut command: Command, line: &str) -> TestResult<Running> {
    let mut running = Running(command.spawn()?);
    let (input, output) = (running.0.stdin.as_mut(), running.0.stdout.as_mut());
    let (Some(input), Some(output)) = (input, output) else {
        return Err(TestError::new("it has pipes"));
    };
    input.write_all(line.as_bytes())?;
    let (mut said, mut some) = (Vec::new(), [0; 4_096]);
    while !said.windows(line.len()).any(|part| part == line.as_bytes()) {
        let len = output.read(&mut some)?;
        if len == 0 {
            let mut errors = String::new();
            let _ = running.0.stderr.as_mut().unwrap().read_to_string(&mut errors);
            let said = String::from_utf8_lossy(&said);
            return Err(TestError::new(format!("{command:?} has ended: {said} {errors}")));
        }
        said.extend_from_slice(&some[..len]);
    }
    Ok(running)
}

/// It asks for one of several names, and has a certificate or none.
#[test]
fn curl_asks_for_a_name_and_shows_a_certificate() -> TestResult {
    let authority = Authority::new();
    let first = authority.pair("first", &[NAME]);
    let second = authority.pair("second", &["other.test"]);
    let client = authority.pair("client", &["client.test"]);
    let both = |one: &Path, other: &Path| format!("{},{}", one.display(), other.display());
    let server = showing(small_probe(), &first)
        .set("tls_certificate", both(&first.certificate, &second.certificate))
        .set("tls_key", both(&first.key, &second.key))
        .set("tls_client_ca", authority.own().display())
        .set("tls_client_auth", "required")
        .start()?;
    let port = server.address().port();
    let (url, place) =
        (format!("https://other.test:{port}/"), format!("other.test:{port}:127.0.0.1"));
    let (own, shown, key) = (authority.own(), client.certificate.display(), client.key.display());
    let own = own.display().to_string();
    let (shown, key) = (shown.to_string(), key.to_string());
    // The probe takes the method for a word of its own, says so and closes.
    let asks = ["-sS", "--http0.9", "-X", "close", "--cacert", &own, "--resolve", &place, &url];
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let certified = [&asks[..], version, &["--cert", &shown, "--key", &key]].concat();
        let Some(mut command) = program("curl", &certified) else { return server.stop() };
        let output = command.output()?;
        let (said, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
        check(output.status.success() && said == b"bye\n", format!("{version:?}: {errors}"))?;
        let unknown = [&asks[..], version].concat();
        let Some(mut command) = program("curl", &unknown) else { return server.stop() };
        let output = command.output()?;
        check(!output.status.success() && output.stdout.is_empty(), "no certificate was shown")?;
    }
    let ended = server.stop_and_report()?;
    let counts = ended.log().lines_with("handshakes begun=4 done=2");
    check(counts.len() == 1, format!("{:?}", ended.log().lines_with("handshakes begun")))
}

#[test]
fn openssl_takes_up_its_session_again() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(echo(1, 1), &pair).start()?;
    let address = server.address().to_string();
    let (own, session) = (authority.own(), authority.write("session", ""));
    let (own, session) = (own.display().to_string(), session.display().to_string());
    for version in ["-tls1_2", "-tls1_3"] {
        let asks = ["s_client", version, "-connect", &address, "-servername", NAME];
        let asks = [&asks[..], &["-CAfile", &own, "-verify_return_error"]].concat();
        for way in ["-sess_out", "-sess_in"] {
            let arguments = [&asks[..], &[way, &session]].concat();
            let Some(command) = program("openssl", &arguments) else { return server.stop() };
            let mut running = comes_back(command, &format!("{version} {way}\n"))?;
            // Tickets come in front of the first answer. It ends with its input.
            drop(running.0.stdin.take());
            running.0.wait()?;
        }
    }
    let ended = server.stop_and_report()?;
    let counts = ended.log().lines_with("handshakes begun=4 done=4 resumed=2");
    check(counts.len() == 1, format!("{:?}", ended.log().lines_with("handshakes begun")))
}

#[test]
fn socat_is_served_at_unix_sockets_and_over_udp() -> TestResult {
    let scratch = Scratch::new("socat")?;
    let [stream, datagrams, own] = ["stream", "datagrams", "own"].map(|name| scratch.path(name));
    let (stream, datagrams) = (stream.display(), datagrams.display());
    let server = echo(1, 1)
        .args(["--port", "udp=udp://127.0.0.1:0"])
        .args(["--port".to_owned(), format!("stream=unix://{stream}")])
        .args(["--port".to_owned(), format!("grams=unixgram://{datagrams}")])
        .start()?;
    let udp = server.port_url("udp")?.replace("udp://", "UDP:");
    for place in [
        format!("TCP:{}", server.address()),
        format!("UNIX-CONNECT:{stream}"),
        udp,
        format!("UNIX-SENDTO:{datagrams},bind={}", own.display()),
    ] {
        let Some(command) = program("socat", &["-", &place]) else { break };
        drop(comes_back(command, &format!("hello {place}\n"))?);
    }
    server.stop()
}

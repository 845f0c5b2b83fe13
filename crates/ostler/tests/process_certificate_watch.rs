//! Certificates whose files change while the server runs, without a word to it.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod encrypted;
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use encrypted::{Authority, NAME, Pair, TlsClient, showing};
use ostler_testkit::{TestResult, TestServer, wait_until};
use rustls::pki_types::CertificateDer;
use support::{check, echo, start, wait_lines};

const RENEWED: &str = "certificates have changed and were read anew";
const WRONG: &str = "the changed certificates of a port cannot be used";

/// What a new client is shown. It has no ticket: a session that is taken up is shown nothing.
fn shown(
    server: &TestServer,
    authority: &Authority,
) -> TestResult<Option<CertificateDer<'static>>> {
    let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    client.round_trip(b"who is it?")?;
    Ok(client.shown())
}

fn wait_shown(server: &TestServer, authority: &Authority, pair: &Pair) -> TestResult {
    wait_until("the new certificate", || {
        shown(server, authority).is_ok_and(|shown| shown.as_ref() == Some(&pair.der))
    })
}

#[test]
fn files_that_change_are_shown_by_all_processes_and_old_connections_go_on() -> TestResult {
    for mode in ["process", "base"] {
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME]);
        let builder = match mode {
            "base" => TestServer::echo().set("workers", 2).set("mode", mode),
            _ => echo(2, 2),
        };
        let server = start(showing(builder, &pair), 2)?;
        let mut old = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
        for round in 1..=2 {
            let new = authority.pair("pair", &[NAME]);
            wait_lines(&server, RENEWED, round)?;
            wait_shown(&server, &authority, &new)?;
            // Each of several workers.
            for _ in 0..8 {
                wait_shown(&server, &authority, &new)?;
            }
            old.round_trip(b"old")?;
        }
        server.stop()?;
    }
    Ok(())
}

/// A link that names another file from now on, in one step.
fn turn(link: &Path, target: &str) {
    let beside = link.with_extension("beside");
    symlink(target, &beside).unwrap();
    fs::rename(&beside, link).unwrap();
}

#[test]
fn links_on_the_way_to_the_files_may_be_turned() -> TestResult {
    let authority = Authority::new();
    let [first, second, third] = ["1", "2", "3"].map(|name| authority.pair(name, &[NAME]));
    let root = first.certificate.parent().unwrap();
    // As certbot has it: links to files; and as containers have it: a link to a directory.
    for name in ["a", "b"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let place = |pair: &Pair, directory: &str| {
        fs::copy(&pair.certificate, root.join(directory).join("own.pem")).unwrap();
        fs::copy(&pair.key, root.join(directory).join("own.key")).unwrap();
    };
    place(&first, "a");
    place(&second, "b");
    turn(&root.join("data"), "a");
    let named = |file: &str| root.join("data").join(file);
    let pair =
        Pair { certificate: named("own.pem"), key: named("own.key"), der: first.der.clone() };
    let server = start(showing(echo(1, 1), &pair), 1)?;
    check(shown(&server, &authority)? == Some(first.der.clone()), "the first one")?;
    turn(&root.join("data"), "b");
    wait_shown(&server, &authority, &second)?;
    turn(&root.join("b/own.pem"), "../3.pem");
    turn(&root.join("b/own.key"), "../3.key");
    wait_shown(&server, &authority, &third)?;
    // What the old link named is no way to the files any more, and what the new one names is.
    place(&first, "a");
    fs::write(root.join("3.pem"), fs::read(&second.certificate).unwrap()).unwrap();
    fs::write(root.join("3.key"), fs::read(&second.key).unwrap()).unwrap();
    wait_shown(&server, &authority, &second)?;
    server.stop()
}

#[test]
fn files_that_are_not_right_are_told_once_and_the_old_ones_served_on() -> TestResult {
    for mode in ["process", "base"] {
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME]);
        let server = TestServer::echo().set("workers", 1).set("mode", mode);
        let server = start(showing(server, &pair).expect_log(WRONG), 1)?;
        let kept = fs::read(&pair.key).unwrap();
        authority.write("pair.key", "nonsense");
        let line = server.wait_for_log(WRONG)?;
        check(line.contains("pair.key") && line.contains("WARN"), &line)?;
        check(shown(&server, &authority)? == Some(pair.der.clone()), "the old certificate")?;
        // The same nonsense again is no news, as is a file that nobody asks for; what is right is.
        authority.write("pair.key", "nonsense");
        authority.write("neighbour.pem", "nonsense");
        authority.write("pair.key", kept);
        wait_lines(&server, RENEWED, 1)?;
        let new = authority.pair("pair", &[NAME]);
        wait_shown(&server, &authority, &new)?;
        server.stop_having_said(WRONG, 1)?;
    }
    Ok(())
}

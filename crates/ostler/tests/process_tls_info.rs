//! What `on_connect` is told of a client that speaks TLS.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod encrypted;
mod talk;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use encrypted::{Authority, NAME, Pair, TlsClient, showing};
use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer, wait_until};
use rustls::ClientConfig;
use talk::{Scratch, small_probe};

/// A probe that asks its clients for certificates, and keeps a journal.
fn asking(authority: &Authority, pair: &Pair, scratch: &Scratch) -> ServerBuilder {
    showing(small_probe(), pair)
        .set("tls_client_ca", authority.own().display())
        .set("tls_client_auth", "optional")
        .env("PROBE_JOURNAL", scratch.path("journal"))
}

/// What was told of clients so far, without the worker and the session.
fn told(scratch: &Scratch) -> Vec<String> {
    let lines = scratch.lines("journal");
    let told = |line: &String| {
        let mut words = line.splitn(4, ' ');
        (words.nth(1) == Some("tls")).then(|| words.nth(1).unwrap_or_default().to_owned())
    };
    lines.iter().filter_map(told).collect()
}

fn wait_told(scratch: &Scratch, times: usize) -> TestResult<Vec<String>> {
    wait_until("the client to be told of", || told(scratch).len() >= times)?;
    Ok(told(scratch))
}

/// A client that asks for its own line back.
fn talk(server: &TestServer, config: &Arc<ClientConfig>, name: &str) -> TestResult<TlsClient> {
    let mut client = TlsClient::connect_to(server.address(), config, name)?;
    client.send(b"tls\n")?;
    // In `on_receive` nobody is told any more.
    assert_eq!(client.read_exactly(5)?, b"none\n");
    Ok(client)
}

#[test]
fn on_connect_is_told_what_was_agreed_and_what_the_client_has_shown() -> TestResult {
    for mode in ["process", "base"] {
        let scratch = Scratch::new("tls-info")?;
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME, "other.test"]);
        let server = asking(&authority, &pair, &scratch).set("tls_alpn", "probe,other");
        let server = server.set("mode", mode).start()?;
        for (version, name) in
            [(&rustls::version::TLS12, "Tls12"), (&rustls::version::TLS13, "Tls13")]
        {
            let (mut config, chain) = authority.client_behind_another("ada", 0, &[version]);
            config.alpn_protocols = vec![b"other".to_vec()];
            let config = Arc::new(config);
            let before = told(&scratch).len();
            talk(&server, &config, "other.test")?.say_goodbye()?;
            // The second time with the ticket that came with the first answer.
            talk(&server, &config, "other.test")?;
            let told = wait_told(&scratch, before + 2)?;
            let sizes = [chain[0].len(), chain[1].len()];
            let own = format!("{} CN=ada,O=Example\\, Inc (Some(\"ada\"))", sizes[0]);
            let whose = format!("{own} {} CN=between (Some(\"between\"))", sizes[1]);
            for (line, resumed) in told[before..].iter().zip(["full", "resumed"]) {
                let words: Vec<&str> = line.splitn(3, ' ').collect();
                assert_eq!(words[0], name);
                let is_suite = words[1].starts_with("TLS") && words[1].contains("_WITH_")
                    || words[1].starts_with("TLS13_");
                assert!(is_suite, "{line}");
                assert_eq!(words[2], format!("other other.test {resumed} {whose}"));
            }
        }
        // Without any of it.
        let before = told(&scratch).len();
        let mut plain = authority.client();
        plain.enable_sni = false;
        talk(&server, &Arc::new(plain), NAME)?;
        let line = &wait_told(&scratch, before + 1)?[before];
        assert!(line.starts_with("Tls13 TLS13_") && line.ends_with(" - - full"), "{line}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_port_that_is_not_encrypted_tells_nothing() -> TestResult {
    let scratch = Scratch::new("tls-info-plain")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut client = talk::Talk::new(&server)?;
    assert_eq!(client.ask("tls")?, "none");
    server.stop()?;
    assert_eq!(told(&scratch), Vec::<String>::new());
    Ok(())
}

/// The lanes are so small that one of the two does not fit into a record.
#[test]
fn a_connect_event_that_is_given_again_tells_the_same() -> TestResult {
    for filler in [0, 12_000] {
        let scratch = Scratch::new("tls-info-again")?;
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME]);
        let server = asking(&authority, &pair, &scratch)
            .set("crash_policy", "redeliver:3")
            .env("PROBE_HOLD_CONNECT_UNTIL", scratch.path("go"))
            .expect_log("worker died")
            .start()?;
        let (config, chain) = authority.client_behind_another("ada", filler, rustls::ALL_VERSIONS);
        let mut client = TlsClient::connect(server.address(), &Arc::new(config))?;
        client.send(b"echo served\n")?;
        // The next one holds its worker, too: this one waits and is recalled.
        let waiting = Arc::new(authority.client());
        let mut waiting = TlsClient::connect(server.address(), &waiting)?;
        wait_told(&scratch, 1)?;
        server.worker(0).signal(Signal::KILL);
        wait_told(&scratch, 2)?;
        scratch.make("go")?;
        assert_eq!(client.read_exactly(7)?, b"served\n");
        waiting.send(b"echo me too\n")?;
        assert_eq!(waiting.read_exactly(7)?, b"me too\n");
        server.stop()?;
        let told = told(&scratch);
        assert_eq!(told[0], told[1]);
        assert!(told[0].contains(&format!(" {} CN=ada,", chain[0].len())), "{}", told[0]);
        assert!(told[2].ends_with(" full") && told.len() == 3, "{told:?}");
    }
    Ok(())
}

#[test]
fn who_has_left_before_its_connect_event_is_told_of_too() -> TestResult {
    let scratch = Scratch::new("tls-info-left")?;
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = asking(&authority, &pair, &scratch)
        .env("PROBE_HOLD_CONNECT_UNTIL", scratch.path("go"))
        .start()?;
    // This one holds the only worker.
    let held = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    wait_told(&scratch, 1)?;
    let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client_as("ada")))?;
    client.send(b"echo are you there\n")?;
    client.say_goodbye()?;
    drop(client);
    scratch.make("go")?;
    let told = wait_told(&scratch, 2)?;
    assert!(told[1].contains("CN=ada"), "{told:?}");
    drop(held);
    server.stop()
}

/// A program of the machine, as a client with a certificate; `None` if it is not there.
fn client_program(program: &str, version: &str, arguments: &[String]) -> TestResult<Option<Child>> {
    let found = Command::new(program).arg(version).stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("not tested: there is no {program} on this machine");
        return Ok(None);
    }
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Some(child))
}

fn end(mut child: Child) -> TestResult {
    child.kill()?;
    child.wait()?;
    Ok(())
}

#[test]
fn openssl_and_curl_are_told_of_if_they_are_on_the_machine() -> TestResult {
    let scratch = Scratch::new("tls-info-programs")?;
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = asking(&authority, &pair, &scratch).start()?;
    let client = authority.pair_with("client", &[], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "client.test");
    });
    let text = |path: &std::path::Path| path.display().to_string();
    let (own, certificate, key) =
        (text(&authority.own()), text(&client.certificate), text(&client.key));
    let address = server.address();
    let session = text(&scratch.path("session"));
    let mut wanted = 0;
    for (option, resumed) in [("-sess_out", "full"), ("-sess_in", "resumed")] {
        let arguments = ["s_client", "-quiet", "-tls1_2", "-servername", NAME, "-CAfile", &own];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.extend(["-connect".to_owned(), address.to_string()]);
        arguments
            .extend(["-cert", &certificate, "-key", &key, option, &session].map(str::to_owned));
        let Some(mut child) = client_program("openssl", "version", &arguments)? else { break };
        wanted += 1;
        let told = wait_told(&scratch, wanted)?;
        let line = &told[wanted - 1];
        assert!(line.starts_with("Tls12 TLS_ECDHE_"), "{line}");
        let end_of_line = format!(" - {NAME} {resumed} {} CN=client.test", client.der.len());
        assert!(line.contains(&end_of_line), "{line}");
        // It writes the session when it has it, and goes when it is told.
        if let Some(input) = &mut child.stdin {
            input.write_all(b"Q\n")?;
        }
        let written =
            || scratch.lines("session").iter().any(|line| line.starts_with("-----END SSL"));
        wait_until("the session to be written", written)?;
        end(child)?;
    }
    let url = format!("https://{NAME}:{}/", address.port());
    let place = format!("{NAME}:{}:127.0.0.1", address.port());
    let arguments = [
        "--http0.9",
        "--silent",
        "--noproxy",
        "*",
        "--no-alpn",
        "--tlsv1.3",
        "--cacert",
        &own,
        "--cert",
    ];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.extend([&certificate, "--key", &key, "--resolve", &place, &url].map(str::to_owned));
    if let Some(child) = client_program("curl", "--version", &arguments)? {
        let told = wait_told(&scratch, wanted + 1)?;
        let line = &told[wanted];
        assert!(line.starts_with("Tls13 TLS13_"), "{line}");
        assert!(line.contains(&format!(" - {NAME} full {} CN=client.test", client.der.len())));
        end(child)?;
    }
    server.stop()
}

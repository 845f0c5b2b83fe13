//! TLS.
#![allow(clippy::unwrap_used)] // a test that cannot go on

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;

use ostler_testkit::{DEADLINE, TestResult, TestServer};
use rcgen::DnType;
use rustls::ProtocolVersion;

use crate::Effect;
use crate::encrypted::{Authority, NAME, TlsClient, refusal, showing};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("tls_certificate", tls_certificate_is_what_a_client_of_its_name_is_shown),
    ("tls_key", tls_key_may_be_a_file_of_its_own_or_stand_with_the_certificate),
    ("tls_ocsp", tls_ocsp_is_shown_with_the_certificate),
    ("tls_client_ca", tls_client_ca_says_whose_certificates_are_good),
    ("tls_client_auth", tls_client_auth_says_who_may_come_without),
    ("tls_client_chain_max", tls_client_chain_max_refuses_who_shows_more),
    ("tls_alpn", tls_alpn_names_what_both_speak),
    ("tls_min_version", tls_min_version_keeps_out_what_is_older),
    ("tls_tickets", tls_tickets_let_clients_take_up_their_sessions),
    ("tls_unknown_name", tls_unknown_name_is_shown_the_first_or_nothing),
    ("tls_watch", tls_watch_reads_files_that_change),
    ("handshake_timeout_ms", handshake_timeout_ms_ends_who_is_silent),
];

#[test]
fn tls_watch_reads_files_that_change() -> TestResult {
    for watch in [true, false] {
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME]);
        let server = showing(TestServer::echo(), &pair).set("harden", "off");
        let server = server.set("tls_watch", watch).start()?;
        let watches = |link: &String| link.contains("inotify");
        assert_eq!(server.master().fds()?.iter().any(watches), watch);
        let new = authority.pair("pair", &[NAME]);
        if watch {
            server.wait_for_log("certificates have changed and were read anew")?;
        }
        let client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
        assert_eq!(client.shown(), Some(if watch { new.der } else { pair.der }));
        drop(client);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tls_certificate_is_what_a_client_of_its_name_is_shown() -> TestResult {
    let authority = Authority::new();
    let first = authority.pair("first", &[NAME]);
    let other = authority.pair("other", &["other.test", "*.wild.test"]);
    let list = |one: &std::path::Path, two: &std::path::Path| {
        format!("{},{}", one.display(), two.display())
    };
    let server = TestServer::echo()
        .set("listen", "tls://127.0.0.1:0")
        .set("tls_certificate", list(&first.certificate, &other.certificate))
        .set("tls_key", list(&first.key, &other.key))
        .start()?;
    let config = Arc::new(authority.client());
    let names =
        [(NAME, &first), ("other.test", &other), ("OTHER.test", &other), ("a.wild.test", &other)];
    for (name, expected) in names {
        let mut client = TlsClient::connect_to(server.address(), &config, name)?;
        assert_eq!(client.shown().as_ref(), Some(&expected.der), "{name}");
        client.round_trip(name.as_bytes())?;
    }
    server.stop()?;
    let without = TestServer::echo().set("listen", "tls://127.0.0.1:0");
    let (code, text) = without.start_expecting_failure()?;
    assert!(code == 2 && text.contains("needs `tls_certificate`"), "{code}: {text}");
    let for_nobody = showing(TestServer::echo(), &first).set("listen", "tcp://127.0.0.1:0");
    let (code, text) = for_nobody.start_expecting_failure()?;
    assert!(code == 2 && text.contains("`tls_certificate` has no effect"), "{code}: {text}");
    Ok(())
}

#[test]
fn tls_key_may_be_a_file_of_its_own_or_stand_with_the_certificate() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let both = [&pair.certificate, &pair.key].map(|path| std::fs::read(path).unwrap()).concat();
    let both = authority.write("both.pem", both);
    let encrypted = || TestServer::echo().set("listen", "tls://127.0.0.1:0");
    let together = encrypted().set("tls_certificate", both.display());
    for builder in [showing(TestServer::echo(), &pair), together] {
        let server = builder.start()?;
        TlsClient::connect(server.address(), &Arc::new(authority.client()))?.round_trip(b"key")?;
        server.stop()?;
    }
    let alone = encrypted().set("tls_certificate", pair.certificate.display());
    let (code, text) = alone.start_expecting_failure()?;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("pair.pem") && text.contains("no private key"), "{text}");
    Ok(())
}

#[test]
fn tls_ocsp_is_shown_with_the_certificate() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    // What is in it is for clients to judge.
    let response = authority.write("ocsp", b"a response of the authority");
    let server = showing(TestServer::echo(), &pair).set("tls_ocsp", response.display()).start()?;
    let seen = Arc::new(crate::encrypted_ocsp::Seen::default());
    let config = crate::encrypted_ocsp::client(&authority, &seen);
    TlsClient::connect(server.address(), &Arc::new(config))?.round_trip(b"ocsp")?;
    assert_eq!(seen.response(), b"a response of the authority");
    server.stop()
}

#[test]
fn tls_client_ca_says_whose_certificates_are_good() -> TestResult {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(TestServer::echo(), &pair)
        .set("tls_client_ca", authority.own().display())
        .set("tls_client_auth", "required")
        .start()?;
    let known = Arc::new(authority.client_as("ada"));
    TlsClient::connect(server.address(), &known)?.round_trip(b"it is me")?;
    let unknown = Arc::new(with_certificate_of(&authority, &stranger));
    let why = refusal(server.address(), &unknown, NAME)?;
    assert!(why.contains("UnknownCA"), "{why}");
    server.stop()
}

/// A client that trusts one authority and has a certificate of another.
fn with_certificate_of(trusted: &Authority, signer: &Authority) -> rustls::ClientConfig {
    let mut config = trusted.client();
    config.client_auth_cert_resolver = signer.client_as("eve").client_auth_cert_resolver;
    config
}

#[test]
fn tls_client_auth_says_who_may_come_without() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    for (auth, lets_in) in [("optional", true), ("required", false)] {
        let server = showing(TestServer::echo(), &pair)
            .set("tls_client_ca", authority.own().display())
            .set("tls_client_auth", auth)
            .start()?;
        let with = Arc::new(authority.client_as("ada"));
        TlsClient::connect(server.address(), &with)?.round_trip(b"with one")?;
        let without = Arc::new(authority.client());
        if lets_in {
            TlsClient::connect(server.address(), &without)?.round_trip(b"without")?;
        } else {
            let why = refusal(server.address(), &without, NAME)?;
            assert!(why.contains("CertificateRequired"), "{why}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tls_client_chain_max_refuses_who_shows_more() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let all = rustls::ALL_VERSIONS;
    let (small, _) = authority.client_behind_another("ada", 0, all);
    let (big, _) = authority.client_behind_another("eve", 4_096, all);
    let (small, big) = (Arc::new(small), Arc::new(big));
    for (most, lets_in) in [("16K", true), ("4K", false)] {
        let server = showing(TestServer::echo(), &pair)
            .set("tls_client_ca", authority.own().display())
            .set("tls_client_auth", "required")
            .set("tls_client_chain_max", most)
            .start()?;
        TlsClient::connect(server.address(), &small)?.round_trip(b"small")?;
        if lets_in {
            TlsClient::connect(server.address(), &big)?.round_trip(b"big")?;
        } else {
            let why = refusal(server.address(), &big, NAME)?;
            assert!(why.contains("HandshakeFailure"), "{why}");
            server.wait_for_log("more than tls_client_chain_max, 4096")?;
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tls_alpn_names_what_both_speak() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(TestServer::echo(), &pair).set("tls_alpn", "second, first").start()?;
    let speaking = |names: &[&str]| {
        let mut config = authority.client();
        config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    };
    for (offered, chosen) in [(&["first", "second"][..], "second"), (&["first"], "first")] {
        let mut client = TlsClient::connect(server.address(), &speaking(offered))?;
        assert_eq!(client.tls.alpn_protocol(), Some(chosen.as_bytes()));
        client.round_trip(b"protocol")?;
    }
    TlsClient::connect(server.address(), &speaking(&[]))?.round_trip(b"names none")?;
    let why = refusal(server.address(), &speaking(&["third"]), NAME)?;
    assert!(why.contains("NoApplicationProtocol"), "{why}");
    server.stop()
}

#[test]
fn tls_min_version_keeps_out_what_is_older() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let old = Arc::new(authority.client_of(&[&rustls::version::TLS12]));
    let new = Arc::new(authority.client());
    for (least, old_comes_in) in [("1.2", true), ("1.3", false)] {
        let server = showing(TestServer::echo(), &pair).set("tls_min_version", least).start()?;
        let mut client = TlsClient::connect(server.address(), &new)?;
        assert_eq!(client.tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        client.round_trip(b"new")?;
        if old_comes_in {
            TlsClient::connect(server.address(), &old)?.round_trip(b"old")?;
        } else {
            let why = refusal(server.address(), &old, NAME)?;
            assert!(why.contains("ProtocolVersion"), "{why}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tls_tickets_let_clients_take_up_their_sessions() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let versions: [&[_]; 2] = [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];
    for (tickets, versions) in [(true, versions[0]), (true, versions[1]), (false, versions[1])] {
        let server = showing(TestServer::echo(), &pair).set("tls_tickets", tickets).start()?;
        let config = Arc::new(authority.client_of(versions));
        for is_first in [true, false] {
            let mut client = TlsClient::connect(server.address(), &config)?;
            // The tickets come with the first answer.
            client.round_trip(b"ticket")?;
            assert_eq!(client.is_resumed(), tickets && !is_first, "{versions:?}");
        }
        let ended = server.stop_and_report()?;
        let resumed = if tickets { "resumed=1" } else { "begun=2 done=2" };
        assert!(ended.log().lines_with("handshakes begun=2")[0].contains(resumed));
    }
    Ok(())
}

#[test]
fn tls_unknown_name_is_shown_the_first_or_nothing() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair_with("pair", &[NAME], |params| {
        params.distinguished_name.push(DnType::CommonName, "first");
    });
    for (what, is_shown) in [("first", true), ("refuse", false)] {
        let server = showing(TestServer::echo(), &pair).set("tls_unknown_name", what).start()?;
        let why = refusal(server.address(), &Arc::new(authority.client()), "unknown.test")?;
        // Shown the certificate, the client finds that the name is wrong.
        assert_eq!(why.contains("not valid for name"), is_shown, "{why}");
        TlsClient::connect(server.address(), &Arc::new(authority.client()))?
            .round_trip(b"known")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn handshake_timeout_ms_ends_who_is_silent() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(TestServer::echo(), &pair).set("handshake_timeout_ms", 100).start()?;
    // Half of a record, then nothing.
    let mut socket = TcpStream::connect(server.address())?;
    socket.set_read_timeout(Some(DEADLINE))?;
    std::io::Write::write_all(&mut socket, &[0x16, 3, 1, 2, 0, 1, 0])?;
    assert_eq!(socket.read(&mut [0; 64])?, 0, "the server ends it");
    let ended = server.stop_and_report()?;
    let lines = ended.log().lines_with("handshakes begun=1");
    assert!(lines.len() == 1 && lines[0].contains("timed_out=1"), "{lines:?}");
    Ok(())
}

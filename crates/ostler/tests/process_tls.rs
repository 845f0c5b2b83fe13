//! Encrypted ports, as their clients see them.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod encrypted;
mod support;

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use encrypted::{Authority, NAME, Pair, TlsClient, refusal, showing};
use ostler_testkit::{DEADLINE, Process, Signal, TestError, TestResult, TestServer};
use rustls::ClientConfig;
use support::{check, echo, start, wait_lines};

/// Lengths around those of records and reads.
const LENGTHS: &[usize] =
    &[1, 100, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 200_000, 1_000_000];

#[test]
fn bytes_of_any_length_come_back_in_both_versions() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    for framing in ["raw", "stream"] {
        let server = start(showing(echo(2, 2), &pair).set("framing", framing), 2)?;
        for version in rustls::ALL_VERSIONS {
            let config = Arc::new(authority.client_of(&[version]));
            let mut client = TlsClient::connect(server.address(), &config)?;
            for len in LENGTHS {
                let bytes: Vec<u8> = (0..*len).map(|index| (index * 7) as u8).collect();
                client.round_trip(&bytes)?;
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn messages_that_the_server_frames_come_whole() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = start(showing(echo(2, 1), &pair).set("framing", "length"), 2)?;
    let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    for len in LENGTHS {
        let mut message = (*len as u32).to_be_bytes().to_vec();
        message.extend((0..*len).map(|index| (index * 7) as u8));
        let (first, rest) = message.split_at(message.len() / 2);
        client.send(first)?;
        client.send(rest)?;
        check(client.read_exactly(message.len())? == message, "something else came back")?;
    }
    server.stop()
}

#[test]
fn the_end_is_a_goodbye_on_both_sides() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let builder = showing(echo(1, 1), &pair).set("framing", "line").set("package_max_length", 64);
    let server = start(builder, 1)?;
    let config = Arc::new(authority.client());
    // The server ends it, in order.
    let mut client = TlsClient::connect(server.address(), &config)?;
    client.send(&[b'x'; 100])?;
    client.expect_goodbye()?;
    client.say_goodbye()?;
    // The client ends its side, and is still answered.
    let mut client = TlsClient::connect(server.address(), &config)?;
    client.send(b"last\n")?;
    client.say_goodbye()?;
    check(client.read_exactly(5)? == b"last\n", "the answer to the last request")?;
    client.expect_goodbye()?;
    // It is cut off.
    let mut client = TlsClient::connect(server.address(), &config)?;
    client.round_trip(b"first\n")?;
    client.socket.shutdown(std::net::Shutdown::Write)?;
    let mut socket = client.socket.try_clone()?;
    while socket.read(&mut [0; 64]).is_ok_and(|len| len > 0) {}
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == 3, format!("{books}"))?;
    check(books.detail("closed_package_too_long") == 1, format!("{books}"))?;
    check(books.detail("closed_peer") == 1, format!("{books}"))?;
    check(books.detail("closed_peer_error") == 1, format!("{books}"))
}

#[test]
fn new_certificates_are_served_at_a_reload_and_old_connections_go_on() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = start(showing(echo(2, 2), &pair), 2)?;
    let config = Arc::new(authority.client());
    let mut old = TlsClient::connect(server.address(), &config)?;
    for (round, signal) in [Signal::USR1, Signal::HUP].into_iter().enumerate() {
        let new = authority.pair("pair", &[NAME]);
        server.signal(signal);
        wait_lines(&server, "certificates were read anew", round + 1)?;
        // One without a ticket: a session that is taken up again is shown nothing.
        let fresh = Arc::new(authority.client());
        let mut client = TlsClient::connect(server.address(), &fresh)?;
        check(client.shown() == Some(new.der), "the new certificate")?;
        client.round_trip(b"new")?;
        old.round_trip(b"old")?;
        wait_lines(&server, "reload finished", round + 1)?;
    }
    old.round_trip(b"and after it")?;
    server.stop()
}

#[test]
fn files_that_are_not_right_change_nothing_and_are_told() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let refused = "the new certificates of a port cannot be used";
    let server = start(showing(echo(1, 1), &pair).expect_log(refused), 1)?;
    let config = Arc::new(authority.client());
    authority.write("pair.pem", "nonsense");
    server.signal(Signal::USR1);
    let line = server.wait_for_log(refused)?;
    check(line.contains("pair.pem"), &line)?;
    let mut client = TlsClient::connect(server.address(), &config)?;
    check(client.shown() == Some(pair.der), "the old certificate")?;
    client.round_trip(b"old")?;
    wait_lines(&server, "reload finished", 1)?;
    server.stop()
}

#[test]
fn a_server_whose_files_are_not_right_does_not_start_and_names_them() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let other = authority.pair("other", &[NAME]);
    let wrong = Pair { key: other.key, ..pair.clone() };
    let expired = authority.pair_with("expired", &[NAME], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    for (pair, words) in [(&wrong, "is not that of the certificate"), (&expired, "expired")] {
        for asked in [None, Some("--check")] {
            let builder = showing(echo(1, 1), pair).args(asked);
            let (code, text) = builder.start_expecting_failure()?;
            check(code == 2, format!("{asked:?}: code {code}: {text}"))?;
            let file = pair.certificate.display().to_string();
            check(text.contains(words) && text.contains(&file), format!("{asked:?}: {text}"))?;
        }
    }
    Ok(())
}

#[test]
fn who_does_not_speak_tls_is_told_and_leaves_nothing_behind() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = start(showing(echo(1, 1), &pair), 1)?;
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let garbage: Vec<Vec<u8>> = vec![
        http,
        vec![0xff; 100_000],
        [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat(),
        [&[0x80, 0x2e, 1, 0, 2][..], &[0; 44]].concat(),
    ];
    for bytes in &garbage {
        let mut socket = TcpStream::connect(server.address())?;
        socket.set_read_timeout(Some(DEADLINE))?;
        // The server may end it before all is sent.
        let _ = socket.write_all(bytes);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        check(answer.first() == Some(&0x15), format!("an alert, not {answer:?}"))?;
    }
    let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    client.round_trip(b"others are served")?;
    let ended = server.stop_and_report()?;
    let counts = ended.log().lines_with("handshakes begun=5");
    check(counts.len() == 1 && counts[0].contains("failed=4"), format!("{counts:?}"))?;
    check(ended.books()?.accepted == 1, "only who has shaken hands has a session")
}

#[test]
fn a_client_that_only_connects_holds_up_no_drain() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = start(showing(echo(1, 1), &pair), 1)?;
    let silent = TcpStream::connect(server.address())?;
    let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    client.round_trip(b"it was accepted before")?;
    let ended = server.stop_and_report()?;
    let counts = ended.log().lines_with("handshakes begun=2");
    check(counts.len() == 1 && counts[0].contains("ended=1"), format!("{counts:?}"))?;
    drop(silent);
    Ok(())
}

/// Whether the memory of a process has these bytes.
fn has_in_memory(process: &Process, wanted: &[u8]) -> TestResult<bool> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.pid()))?;
    let mut memory = std::fs::File::open(format!("/proc/{}/mem", process.pid()))?;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let (from, to) = range.ok_or_else(|| TestError::new(line.to_owned()))?;
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| TestError::new(line));
        let (from, to) = (number(from)?, number(to)?);
        let mut bytes = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from))?;
        // Parts of it may not be readable; what was read before counts.
        let _ = memory.read(&mut bytes);
        if bytes.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Certificates and keys are read by one function, so that who has the one has the other. (The key
/// itself lies in the master in a form of its own.)
#[test]
fn only_the_master_has_read_the_files() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    // The own processes may be looked into, if the machine allows that to anybody.
    let server = start(showing(echo(1, 1), &pair).set("harden", "off"), 1)?;
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", 1)?;
    let wanted = &pair.der[pair.der.len() - 64..];
    check(has_in_memory(&server.master(), wanted)?, "the master has it")?;
    for process in [server.manager(), server.spare(), server.worker(0)] {
        check(!has_in_memory(&process, wanted)?, format!("{} has it", process.pid()))?;
    }
    server.stop()
}

/// Clients that talk all the time, each over one connection, and what they noticed.
struct Talkers {
    ends: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    threads: Vec<JoinHandle<TestResult>>,
}

impl Talkers {
    fn start(address: SocketAddr, config: &Arc<ClientConfig>, number: usize) -> Self {
        let (ends, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..number).map(|index| {
            let (config, ends) = (Arc::clone(config), Arc::clone(&ends));
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || -> TestResult {
                let mut client = TlsClient::connect(address, &config)?;
                let mut round = 0_usize;
                while !ends.load(Ordering::Relaxed) {
                    let bytes = vec![round as u8; 1 + (round * 997 + index * 31) % 40_000];
                    client.round_trip(&bytes)?;
                    answers.fetch_add(1, Ordering::Relaxed);
                    round += 1;
                }
                client.say_goodbye()
            })
        });
        Self { threads: threads.collect(), ends, answers }
    }

    /// Waits until so many more answers have come.
    fn wait_for_more(&self, server: &TestServer, more: u64) -> TestResult {
        let wanted = self.answers.load(Ordering::Relaxed) + more;
        server.wait_for("answers", |_| {
            self.answers.load(Ordering::Relaxed) >= wanted
                || self.threads.iter().any(JoinHandle::is_finished)
        })
    }

    fn stop(self) -> TestResult {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a thread of clients panicked")?;
        }
        Ok(())
    }
}

#[test]
fn nobody_notices_killed_workers_reloads_and_a_lost_manager() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let builder = showing(echo(2, 2), &pair)
        .set("crash_policy", "redeliver:5")
        .set("framing", "raw")
        .expect_log("died");
    let server = start(builder, 2)?;
    let talkers = Talkers::start(server.address(), &Arc::new(authority.client()), 8);
    for round in 0..5 {
        talkers.wait_for_more(&server, 50)?;
        server.worker(round % 2).kill();
        talkers.wait_for_more(&server, 50)?;
        authority.pair("pair", &[NAME]);
        server.signal(Signal::USR1);
        wait_lines(&server, "reload finished", usize::from(round) + 1)?;
    }
    server.manager().kill();
    talkers.wait_for_more(&server, 50)?;
    talkers.stop()?;
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == 8 && books.closed_by == 0, format!("{books}"))?;
    check(books.detail("closed_peer") == 8, format!("{books}"))
}

/// A client that asks for a second handshake in a session of TLS 1.2, which is what
/// `openssl s_client` does when it is told `R`. Other clients of the world are tried here, too.
#[test]
fn openssl_is_served_if_it_is_on_the_machine() -> TestResult {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("not tested: there is no openssl on this machine");
        return Ok(());
    }
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME, "other.test"]);
    let builder = showing(echo(1, 1), &pair).set("tls_alpn", "echo");
    let builder = builder.set("tls_client_ca", authority.own().display());
    let server = start(builder.set("tls_client_auth", "optional"), 1)?;
    let client = authority.pair("client", &["client.test"]);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", version, "-alpn", "echo"])
            .args(["-servername", "other.test", "-connect", &server.address().to_string()])
            .arg("-CAfile")
            .arg(authority.own())
            .arg("-cert")
            .arg(&client.certificate)
            .arg("-key")
            .arg(&client.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (mut input, mut output) = match (openssl.stdin.take(), openssl.stdout.take()) {
            (Some(input), Some(output)) => (input, output),
            _ => return Err(TestError::new("openssl has no pipes")),
        };
        input.write_all(b"hello from openssl\n")?;
        let mut answer = [0; 19];
        let read = output.read_exact(&mut answer);
        let _ = openssl.kill();
        openssl.wait()?;
        read?;
        check(&answer == b"hello from openssl\n", format!("{version}: {answer:?}"))?;
    }
    let why = refusal(server.address(), &Arc::new(with_alpn(&authority, "other")), NAME)?;
    check(why.contains("NoApplicationProtocol"), why)?;
    server.stop()
}

fn with_alpn(authority: &Authority, name: &str) -> ClientConfig {
    let mut config = authority.client();
    config.alpn_protocols = vec![name.as_bytes().to_vec()];
    config
}

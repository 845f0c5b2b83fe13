//! Certificates of clients whose authorities lie in a directory (`tls_client_ca`).
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod encrypted;
mod support;
mod talk;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encrypted::{Authority, NAME, Pair, TlsClient, refusal, showing};
use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer, wait_until};
use support::{check, start, wait_lines};
use talk::{Scratch, small_probe};

const READ: &str = "certificates were read anew";
const RENEWED: &str = "certificates have changed and were read anew";
const WRONG: &str = "the changed certificates of a port cannot be used";

/// A server whose certificate one authority has signed, and clients that others have signed.
struct Scene {
    own: Authority,
    pair: Pair,
    /// The directory of authorities.
    directory: PathBuf,
    /// Where links may lead to.
    beside: PathBuf,
    _scratch: Scratch,
}

impl Scene {
    fn new(name: &str) -> TestResult<Self> {
        let scratch = Scratch::new(name)?;
        let own = Authority::new();
        let pair = own.pair("pair", &[NAME]);
        let [directory, beside] = ["authorities", "beside"].map(|name| scratch.path(name));
        fs::create_dir(&directory)?;
        fs::create_dir(&beside)?;
        Ok(Self { own, pair, directory, beside, _scratch: scratch })
    }

    fn asking(&self, server: ServerBuilder, authorities: impl std::fmt::Display) -> ServerBuilder {
        let server = showing(server, &self.pair).set("tls_client_ca", authorities);
        server.set("tls_client_auth", "required")
    }

    /// An authority's certificate, written in one step.
    fn trust(&self, authority: &Authority, name: &str) {
        let beside = self.beside.join("new");
        fs::copy(authority.own(), &beside).unwrap();
        fs::rename(beside, self.directory.join(name)).unwrap();
    }

    /// A client whose certificate this authority has signed.
    fn client(&self, signer: &Authority) -> Arc<rustls::ClientConfig> {
        let mut config = self.own.client();
        config.client_auth_cert_resolver = signer.client_as("ada").client_auth_cert_resolver;
        Arc::new(config)
    }

    fn is_let_in(&self, server: &TestServer, signer: &Authority) -> bool {
        let client = TlsClient::connect(server.address(), &self.client(signer));
        client.and_then(|mut client| client.round_trip(b"it is me")).is_ok()
    }

    fn wait(&self, server: &TestServer, signer: &Authority, lets_in: bool) -> TestResult {
        wait_until(&format!("lets in: {lets_in}"), || self.is_let_in(server, signer) == lets_in)
    }
}

fn servers() -> [ServerBuilder; 2] {
    ["process", "base"].map(|mode| TestServer::echo().set("workers", 2).set("mode", mode))
}

#[test]
fn files_and_directories_are_trusted_together_and_a_reload_reads_them_anew() -> TestResult {
    for (index, server) in servers().into_iter().enumerate() {
        let scene = Scene::new(&format!("authorities-{index}"))?;
        let [named, inside, linked, stranger] = [(); 4].map(|()| Authority::new());
        scene.trust(&inside, "inside.crt");
        // As `openssl rehash` leaves it, with what it does not count and what is no certificate.
        symlink("inside.crt", scene.directory.join("0a1b2c3d.0"))?;
        fs::copy(linked.own(), scene.beside.join("linked"))?;
        symlink(scene.beside.join("linked"), scene.directory.join("89abcdef.1"))?;
        symlink("/nonesuch", scene.directory.join("nowhere.pem"))?;
        fs::create_dir(scene.directory.join("directory.pem"))?;
        fs::copy(&scene.pair.key, scene.directory.join("key.pem"))?;
        fs::copy(stranger.own(), scene.directory.join("stranger.txt"))?;
        let _socket = std::os::unix::net::UnixListener::bind(scene.directory.join("it.pem"))?;
        let list = format!("{},{}", named.own().display(), scene.directory.display());
        let server = start(scene.asking(server, list).set("tls_watch", false), 2)?;
        for known in [&named, &inside, &linked] {
            check(scene.is_let_in(&server, known), "all of them")?;
        }
        let why = refusal(server.address(), &scene.client(&stranger), NAME)?;
        check(why.contains("UnknownCA"), &why)?;
        scene.trust(&stranger, "stranger.pem");
        fs::remove_file(scene.directory.join("89abcdef.1"))?;
        check(!scene.is_let_in(&server, &stranger), "nobody has asked for it to be read")?;
        server.signal(Signal::USR1);
        wait_lines(&server, READ, 1)?;
        scene.wait(&server, &stranger, true)?;
        scene.wait(&server, &linked, false)?;
        scene.wait(&server, &inside, true)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn what_comes_changes_and_goes_in_a_directory_is_noticed() -> TestResult {
    for (index, server) in servers().into_iter().enumerate() {
        let scene = Scene::new(&format!("watched-{index}"))?;
        let [first, second, third] = [(); 3].map(|()| Authority::new());
        scene.trust(&first, "first.pem");
        let server = scene.asking(server, scene.directory.display()).expect_log(WRONG);
        let server = start(server, 2)?;
        check(scene.is_let_in(&server, &first), "it is there")?;
        scene.trust(&second, "second.pem");
        scene.wait(&server, &second, true)?;
        fs::remove_file(scene.directory.join("first.pem"))?;
        scene.wait(&server, &first, false)?;
        fs::write(scene.directory.join("second.pem"), fs::read(third.own())?)?;
        scene.wait(&server, &third, true)?;
        scene.wait(&server, &second, false)?;
        // A link into another directory, and what it leads to.
        fs::copy(first.own(), scene.beside.join("linked"))?;
        symlink(scene.beside.join("linked"), scene.directory.join("linked.pem"))?;
        scene.wait(&server, &first, true)?;
        fs::write(scene.beside.join("linked"), fs::read(second.own())?)?;
        scene.wait(&server, &second, true)?;
        fs::remove_file(scene.beside.join("linked"))?;
        scene.wait(&server, &second, false)?;
        // What moves away, and a directory that comes into the place of this one.
        let moved = scene.beside.join("moved");
        fs::create_dir(&moved)?;
        fs::copy(first.own(), moved.join("first.pem"))?;
        fs::rename(&scene.directory, scene.beside.join("old"))?;
        fs::rename(&moved, &scene.directory)?;
        scene.wait(&server, &first, true)?;
        scene.wait(&server, &third, false)?;
        // Without any the last ones are served on.
        fs::rename(scene.directory.join("first.pem"), scene.beside.join("first.pem"))?;
        let line = server.wait_for_log(WRONG)?;
        check(line.contains("there is no certificate in the directory"), &line)?;
        check(scene.is_let_in(&server, &first), "the last ones")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_spoilt_file_in_a_directory_changes_nothing_and_is_told() -> TestResult {
    let scene = Scene::new("spoilt")?;
    let [first, second] = [(); 2].map(|()| Authority::new());
    scene.trust(&first, "first.pem");
    let server = TestServer::echo().set("workers", 1).expect_log(WRONG);
    let server = start(scene.asking(server, scene.directory.display()), 1)?;
    let spoilt = scene.directory.join("second.pem");
    fs::write(&spoilt, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")?;
    let line = server.wait_for_log(WRONG)?;
    check(line.contains("second.pem") && line.contains("WARN"), &line)?;
    check(scene.is_let_in(&server, &first), "as before")?;
    fs::write(&spoilt, fs::read(second.own())?)?;
    scene.wait(&server, &second, true)?;
    server.stop()
}

/// A pipe would wait for somebody who writes into it, and the whole master with it.
#[test]
fn a_pipe_in_a_directory_holds_nobody_up() -> TestResult {
    let scene = Scene::new("pipe")?;
    let first = Authority::new();
    scene.trust(&first, "first.pem");
    make_pipe(&scene.directory.join("pipe.pem"))?;
    let server = TestServer::echo().set("workers", 1);
    let server = start(scene.asking(server, scene.directory.display()), 1)?;
    check(scene.is_let_in(&server, &first), "it serves")?;
    server.stop()
}

fn make_pipe(path: &Path) -> TestResult {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).map_err(std::io::Error::from)?)
}

#[test]
fn a_master_in_its_sandbox_reads_its_directory_and_what_its_links_lead_to() -> TestResult {
    for mode in ["process", "base"] {
        let scene = Scene::new(&format!("boxed-authorities-{mode}"))?;
        let [first, second, third] = [(); 3].map(|()| Authority::new());
        fs::copy(first.own(), scene.beside.join("first"))?;
        symlink(scene.beside.join("first"), scene.directory.join("first.pem"))?;
        let server = small_probe().set("mode", mode).set("sandbox", "master");
        let server = match scene.asking(server, scene.directory.display()).start() {
            Ok(server) => server,
            Err(error) if error.to_string().contains("`sandbox`: this kernel") => {
                eprintln!("NOT TESTED: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        support::wait_serving(&server, 1)?;
        let master = server.master().pid();
        let confined = |_: &TestServer| {
            talk::facts::status(master, "Seccomp:").is_ok_and(|seccomp| seccomp == "2")
        };
        server.wait_for("the sandbox", confined)?;
        let lets_in = |signer: &Authority| {
            TlsClient::connect(server.address(), &scene.client(signer))
                .and_then(|mut client| client.send(b"echo it\n").map(|()| client))
                .and_then(|mut client| client.read_exactly(2))
                .is_ok()
        };
        check(lets_in(&first), "it is there")?;
        scene.trust(&second, "second.pem");
        wait_lines(&server, RENEWED, 1)?;
        wait_until("the second one", || lets_in(&second))?;
        fs::copy(third.own(), scene.beside.join("first"))?;
        wait_until("the third one", || lets_in(&third))?;
        fs::remove_file(scene.directory.join("second.pem"))?;
        server.signal(Signal::USR1);
        wait_until("not the second one", || !lets_in(&second))?;
        check(lets_in(&third), "the third one")?;
        server.stop()?;
    }
    Ok(())
}

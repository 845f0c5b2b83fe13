//! Confined: an echo server whose master does what a master does not do, and says what became of
//! it. For the process tests.
//!
//! ```text
//! confined FILE [--set NAME=VALUE]...
//! ```
//!
//! One line for each: its name, and `done` or the kernel's error. When it listens it writes
//! `FILE.ready`, and starts a thread that makes system calls when there is a `FILE.go`. What it
//! does with files it does behind the server: what the main thread may do is the same. It blocks
//! all signals.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use ostler::{Error, Exit, Handler, Outcome, Package, Server, Session, Worker};

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        session.send(&package[..])?;
        Ok(())
    }
}

/// What a client that has taken a master over would do next.
fn calls() -> Vec<(&'static str, io::Result<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0");
    let address = listener.as_ref().ok().and_then(|listener| listener.local_addr().ok());
    // To whom nobody listens, the kernel would say so.
    let connect = TcpStream::connect(address.unwrap_or(([127, 0, 0, 1], 9).into()));
    vec![
        ("program", Command::new("/bin/true").status().map(drop)),
        ("thread", std::thread::Builder::new().spawn(|| {}).map(drop)),
        ("listen", listener.map(drop)),
        ("connect", connect.map(drop)),
        ("datagrams", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("root", rustix::process::chroot("/").map_err(io::Error::from)),
        ("user", nix::unistd::setuid(nix::unistd::geteuid()).map_err(io::Error::from)),
    ]
}

/// `file` is one that it may not read.
fn files(file: &str) -> Vec<(&'static str, io::Result<()>)> {
    vec![
        ("read", std::fs::read(file).map(drop)),
        ("write", std::fs::write(format!("{file}.new"), "").map(drop)),
        ("remove", std::fs::remove_file(format!("{file}.other"))),
    ]
}

fn say(attempts: Vec<(&'static str, io::Result<()>)>) {
    for (name, result) in attempts {
        match result {
            Ok(()) => println!("{name} done"),
            Err(error) => println!("{name} {error}"),
        }
    }
    println!("tried");
}

/// When it is told to.
fn try_calls(go: &str) {
    while !std::path::Path::new(go).exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    say(calls());
}

fn serve() -> ostler::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut builder = Server::builder().set("listen", "127.0.0.1:0");
    let mut file = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--set" => {
                let value = arguments.next().unwrap_or_default();
                let Some((name, value)) = value.split_once('=') else {
                    return Err(Error::usage("usage: confined [--set NAME=VALUE | FILE]..."));
                };
                builder = builder.set(name, value);
            }
            _ => file = Some(argument),
        }
    }
    let file = file.ok_or_else(|| Error::usage("which FILE?"))?;
    let (ready, go) = (format!("{file}.ready"), format!("{file}.go"));
    nix::sys::signal::SigSet::all().thread_block().map_err(|error| Error::usage(error.desc()))?;
    let server = builder.bind()?;
    let announced = server.on_listening(move |ports| {
        println!("listening on {ports}");
        if let Err(error) = std::fs::write(&ready, "") {
            println!("{ready} {error}");
        }
        std::thread::spawn(move || try_calls(&go));
    });
    announced.run(|_| Echo)?;
    say(files(&file));
    Ok(())
}

fn main() -> Exit {
    serve().into()
}

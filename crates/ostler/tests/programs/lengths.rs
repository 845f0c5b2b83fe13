//! Lengths: a length function that does what the first byte says. For the process tests.
#![allow(clippy::panic)] // that is what it is for

use ostler::{ByLength, Handler, Outcome, Package, PackageLength, Server, Session, Worker};

/// `p` panics, `s` sleeps for an hour; a line feed ends everything else.
fn length(bytes: &[u8]) -> PackageLength {
    match bytes.first() {
        Some(b'p') => panic!("a length function that panics"),
        Some(b's') => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            PackageLength::NeedMore
        }
        _ => match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => PackageLength::Bytes(end + 1),
            None => PackageLength::NeedMore,
        },
    }
}

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        Ok(session.send(package)?)
    }
}

fn serve() -> ostler::Result<()> {
    let server = Server::builder().args(std::env::args_os().skip(1)).bind()?;
    let server = server.on_listening(|address| println!("listening on {address}"));
    server.run(|_| ByLength::new(length, Echo))
}

fn main() -> ostler::Exit {
    serve().into()
}

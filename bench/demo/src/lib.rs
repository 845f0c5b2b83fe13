//! What the versions of the demo's program have in common: an echo that says which version it is.

use std::time::Duration;

use ostler::{Exit, Handler, Outcome, Package, Server, Session, Start, Worker};

/// What a handler does that asks a database: so a worker nearly always has a package in hand when
/// it is killed, and the show is about what becomes of that.
const WORK: Duration = Duration::from_millis(5);

/// What a client sends that asks for the version.
pub const QUESTION: &[u8] = b"version?";

/// One version of the program.
struct Echo {
    version: &'static str,
    start: fn() -> Outcome,
}

impl Handler for Echo {
    fn on_worker_start(&mut self, _: &Worker) -> Outcome {
        (self.start)()
    }

    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        if **package == *QUESTION {
            return Ok(session.send(self.version.as_bytes())?);
        }
        std::thread::sleep(WORK);
        Ok(session.send(package)?)
    }
}

/// The `main` of a version: its name, and what its workers do before they serve.
///
/// ```no_run
/// fn main() -> ostler::Exit {
///     ostler_demo::serve("version one", || Ok(()))
/// }
/// ```
pub fn serve(version: &'static str, start: fn() -> Outcome) -> Exit {
    let builder = Server::builder().start(Start::Exec).args(std::env::args_os().skip(1));
    let server = builder.bind();
    let server = server.map(|server| server.on_listening(|ports| println!("listening on {ports}")));
    server.and_then(|server| server.run(move |_| Echo { version, start })).into()
}

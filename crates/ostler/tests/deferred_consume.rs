//! A deferred package of a stream may leave a rest, said on the worker's thread or on another one.
#![allow(clippy::expect_used)] // a test that cannot go on

use ostler::test::TestServer;
use ostler::{Deferred, Framing, Handler, Outcome, Package, Server, Session, Worker};

/// Answers whole lines, each package by its deferral.
struct Lines {
    on_a_thread: bool,
    packages: Vec<Vec<u8>>,
}

fn answer(mut deferred: Deferred) {
    let lines = deferred.as_bytes().iter().rposition(|byte| *byte == b'\n');
    let complete = lines.map_or(0, |at| at + 1);
    let answer = deferred.as_bytes().get(..complete).map(<[u8]>::to_ascii_uppercase);
    // An output is on its way to the worker when the used part is said.
    deferred.send(&answer.unwrap_or_default()).expect("the session is there");
    deferred.consume(complete);
}

impl Handler for Lines {
    fn on_receive(&mut self, _: &Worker, _: &Session, package: &Package) -> Outcome {
        self.packages.push(package.to_vec());
        package.consume(0); // replaced by what the deferred package says
        let deferred = package.defer().ok_or("deferred already")?;
        if self.on_a_thread {
            std::thread::spawn(move || answer(deferred));
        } else {
            answer(deferred);
        }
        Ok(())
    }
}

fn server(on_a_thread: bool) -> TestServer<Lines> {
    let builder = Server::builder().framing(Framing::stream());
    TestServer::start(builder, |_| Lines { on_a_thread, packages: Vec::new() }).expect("a server")
}

#[test]
fn what_a_deferred_package_leaves_is_given_again_with_what_comes() {
    for on_a_thread in [false, true] {
        let server = server(on_a_thread);
        let mut client = server.connect();
        client.send(b"one\ntw");
        client.expect(b"ONE\n");
        client.send(b"o\nthree\nfo");
        client.expect(b"TWO\nTHREE\n");
        server.run_until(|lines| lines.packages.last().is_some_and(|last| last == b"fo"));
        client.send(b"ur\n");
        client.expect(b"FOUR\n");
    }
}

#![allow(clippy::unwrap_used)]

use crate::test::TestServer;
use crate::{Deferred, Framing, Handler, Outcome, Package, Server, Session, Worker};

/// Keeps a package until it is told to answer it. Another one asks a task, and is answered when
/// that is over.
#[derive(Default)]
struct Asks {
    kept: Option<Deferred>,
    has_asked: bool,
}

impl Handler for Asks {
    fn on_receive(&mut self, worker: &Worker, _: &Session, package: &Package) -> Outcome {
        match package.trim_ascii_end() {
            b"fill" => {
                worker.task(b"for nobody").send()?;
            }
            b"keep" => self.kept = package.defer(),
            b"answer" => self.kept.take().ok_or("nothing was kept")?.send(b"first ")?,
            _ => {
                let mut deferred = package.defer().ok_or("it is deferred")?;
                let asked = worker.task(b"task");
                asked.then::<Self>(move |_, _, _| Ok(deferred.send(b"second")?))?;
                self.has_asked = true;
            }
        }
        Ok(())
    }
}

/// There is no place for the task, which is how it ends.
#[test]
fn who_asks_while_it_waits_for_its_turn_is_heard_when_it_has_that() {
    for policy in ["close", "redeliver:2"] {
        let builder = Server::builder().set("crash_policy", policy).framing(Framing::lines());
        let builder = builder.set("task_workers", 1).set("task_queue_max", 1);
        let server = TestServer::start(builder, |_| Asks::default()).unwrap();
        let (mut client, mut other) = (server.connect(), server.connect());
        other.send(b"fill\n");
        client.send(b"keep\nask\n");
        server.run_until(|asks| asks.kept.is_some() && asks.has_asked);
        other.send(b"answer\n");
        client.expect(b"first second");
    }
}

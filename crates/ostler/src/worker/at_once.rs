//! What the running callback asks of other processes and waits for: it goes out before the callback
//! ends.

use super::context::WorkerContext;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::SendError;

impl WorkerContext {
    /// Appends an output of the running callback whatever its delivery holds back. It is seen after
    /// [`WorkerContext::publish_now`].
    pub(super) fn append_now(
        &self,
        append: impl FnOnce(&Sender, Option<&mut RunningDelivery>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.expose_deferral();
        let mut running = self.running.delivery();
        let appended = append(&self.sender, running.as_mut());
        self.running.update(running);
        appended
    }

    /// What waits for an answer must be seen: its delivery is exposed.
    pub(super) fn publish_now(&self) {
        let mut running = self.running.delivery();
        self.sender.publish_early(running.as_mut());
        if let Some(running) = &running {
            self.release_held(running);
        }
        self.running.update(running);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::test::TestServer;
    use crate::{Deferred, Handler, Outcome, Package, Server, Session, Worker};

    /// Keeps its first package until it is told to answer it; others ask a task.
    #[derive(Default)]
    struct Asks {
        kept: Option<Deferred>,
        has_waited: bool,
    }

    impl Handler for Asks {
        fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
            let order: &[u8] = package;
            match order {
                b"keep" => self.kept = package.defer(),
                b"answer" => {
                    let mut kept = self.kept.take().ok_or("nothing was kept")?;
                    kept.send(b"first ")?;
                }
                _ => {
                    session.send(b"second ")?;
                    self.has_waited = worker.task(b"task").wait(Duration::ZERO).is_err();
                    session.send(b"third")?;
                }
            }
            Ok(())
        }
    }

    /// Its task goes out at once, and what it has sent when its turn comes.
    #[test]
    fn who_waits_for_others_answers_behind_earlier_deliveries() {
        for policy in ["close", "redeliver:2"] {
            let builder = Server::builder().set("crash_policy", policy).set("task_workers", 1);
            let server = TestServer::start(builder, |_| Asks::default()).unwrap();
            let (mut client, mut other) = (server.connect(), server.connect());
            client.send(b"keep");
            server.run_until(|asks| asks.kept.is_some());
            client.send(b"wait");
            server.run_until(|asks| asks.has_waited);
            assert_eq!(client.received(), b"", "{policy}");
            other.send(b"answer");
            client.expect(b"first second third");
        }
    }
}

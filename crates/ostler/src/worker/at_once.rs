//! What the running callback asks of other processes and waits for: it goes out before the callback
//! ends.

use super::context::WorkerContext;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::SendError;

impl WorkerContext {
    /// Appends an output of the running callback whatever its delivery holds back, behind what that
    /// has told other processes. It is seen after [`WorkerContext::publish_now`].
    pub(super) fn append_now(
        &self,
        append: impl FnOnce(&Sender, Option<&mut RunningDelivery>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.expose_deferral();
        self.append_held_for_processes();
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
    use crate::{Deferred, Framing, Handler, Outcome, Package, Server, Session, Worker};

    /// Keeps its first package until it is told to answer it; others ask tasks.
    #[derive(Default)]
    struct Asks {
        kept: Option<Deferred>,
        has_waited: bool,
        /// Tasks that were asked before it waited, and refused.
        refused: Vec<&'static [u8]>,
    }

    impl Handler for Asks {
        fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
            match package.trim_ascii_end() {
                b"keep" => self.kept = package.defer(),
                b"answer" => {
                    let mut kept = self.kept.take().ok_or("nothing was kept")?;
                    kept.send(b"first ")?;
                }
                order => {
                    session.send(b"second ")?;
                    if order == b"ask" {
                        for task in [&b"first"[..], b"next"] {
                            worker.task(task).then::<Self>(move |asks, _, _| {
                                asks.refused.push(task);
                                Ok(())
                            })?;
                        }
                    }
                    self.has_waited = worker.task(b"task").wait(Duration::ZERO).is_err();
                    session.send(b"third")?;
                }
            }
            Ok(())
        }
    }

    /// A server in which a client waits for its first answer, and for a task behind that.
    fn waits(policy: &str, order: &[u8]) -> (TestServer<Asks>, crate::test::TestClient) {
        let builder = Server::builder().set("crash_policy", policy).framing(Framing::lines());
        let builder = builder.set("task_workers", 1).set("task_queue_max", 1);
        let server = TestServer::start(builder, |_| Asks::default()).unwrap();
        let mut client = server.connect();
        client.send(b"keep\n");
        server.run_until(|asks| asks.kept.is_some());
        client.send(order);
        server.run_until(|asks| asks.has_waited);
        (server, client)
    }

    /// Its task goes out at once, and what it has sent when its turn comes.
    #[test]
    fn who_waits_for_others_answers_behind_earlier_deliveries() {
        for policy in ["close", "redeliver:2"] {
            let (server, mut client) = waits(policy, b"wait\n");
            assert_eq!(client.received(), b"", "{policy}");
            server.connect().send(b"answer\n");
            client.expect(b"first second third");
        }
    }

    /// Only one of its tasks has a place: the first.
    #[test]
    fn who_waits_for_others_has_asked_them_in_its_order() {
        for policy in ["close", "redeliver:2"] {
            let (server, mut client) = waits(policy, b"ask\n");
            server.run_until(|asks| !asks.refused.is_empty());
            server.connect().send(b"answer\n");
            client.expect(b"first second third");
            let refused = server.handler(|asks| std::mem::take(&mut asks.refused));
            assert_eq!(refused, [b"next"], "{policy}");
        }
    }
}

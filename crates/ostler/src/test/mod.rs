//! A server in one thread of a test: a handler gets packages, its outputs are looked at, nothing is
//! forked and no port is opened.
//!
//! The handler runs as in a worker process: the same loop, the same lanes, the same reactor, with
//! framing, dispatch, back-pressure and sessions as the options say. What needs several processes
//! (deaths, reloads, signals) is not here: a panic in a callback is the test's.
//!
//! ```
//! use ostler::test::TestServer;
//! use ostler::{Framing, Handler, Outcome, Package, Server, Session, Worker};
//!
//! struct Upper;
//!
//! impl Handler for Upper {
//!     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
//!         let text = std::str::from_utf8(package)?;
//!         Ok(session.send(text.to_uppercase().as_bytes())?)
//!     }
//! }
//!
//! # fn main() -> ostler::Result<()> {
//! let server = TestServer::start(Server::builder().framing(Framing::lines()), |_| Upper)?;
//! let mut client = server.connect();
//! client.send(b"hello\nwor");
//! client.expect(b"HELLO\n");
//! client.send(b"ld\n");
//! client.expect(b"WORLD\n");
//! client.send(b"\xff\n"); // not text: the callback fails, which ends the session
//! client.expect_end();
//! # Ok(())
//! # }
//! ```

mod client;
mod parts;
mod peer;

use std::cell::RefCell;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use client::TestClient;
pub use peer::TestPeer;

use ostler_core::ids::PortId;

use crate::api::builder::ServerBuilder;
use crate::api::handler::Handler;
use crate::api::outcome::IntoHandler;
use crate::api::program_code::Factories;
use crate::api::worker::Worker;
use crate::base::local::Local;
use crate::error::{Error, Result};
use crate::reactor::Reactor;
use crate::reactor::mailbox::{Accepted, ToReactor};
use crate::sys::clock;
use crate::sys::epoll::Events;
use crate::worker::event_loop::{Round, Run};
use crate::worker::handlers::{Callee, Handlers};

/// What a test waits for must come within this time.
const DEADLINE: Duration = Duration::from_secs(10);
/// Rounds without anything to do after which everything that could happen has happened: what one
/// side does last the other sees in the next.
const QUIET_ROUNDS: u32 = 3;

/// A server for a test. One worker, one reactor, no process and no port of its own.
pub struct TestServer<H: Handler> {
    both: Rc<RefCell<Both<H>>>,
}

impl<H: Handler> std::fmt::Debug for TestServer<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestServer")
    }
}

/// Both ends of the lane.
struct Both<H> {
    local: Local,
    events: Events,
    run: Run<H>,
    /// The worker's words to its manager, which nobody reads.
    _manager: std::os::fd::OwnedFd,
    clients: u16,
}

/// Lets a server do what there is to do.
trait Pump {
    fn pump(&mut self);
}

impl<H: Handler> Pump for Both<H> {
    fn pump(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET_ROUNDS {
            let now = Some(Duration::ZERO);
            let turned = self.local.reactor.borrow_mut().wait_and_turn(&mut self.events, now);
            self.local.reactor.borrow_mut().tell_figures(clock::monotonic_ns());
            let before = self.local.context.sender.finished();
            let round = self.run.round();
            assert!(round != Round::Broken, "the lanes hold nonsense");
            let had_events = !self.events.is_empty();
            let more = turned.is_ok_and(|turned| turned.has_more);
            let busy = had_events || more || round == Round::Busy;
            let finished = self.local.context.sender.finished() != before;
            quiet = if busy || finished { 0 } else { quiet + 1 };
        }
    }
}

impl<H: Handler> TestServer<H> {
    /// Starts a server with these options; `workers` and `reactors` are 1 whatever they say. `make`
    /// makes the handler, as for [`crate::Server::run`].
    ///
    /// # Errors
    /// An option that is wrong, or why the handler does not start.
    pub fn start<R>(builder: ServerBuilder, make: impl Fn(&Worker) -> R) -> Result<Self>
    where
        R: IntoHandler<Handler = H>,
    {
        let (mut options, code) = builder.into_parts()?;
        (options.workers, options.reactors) = (1, 1);
        let wrong = |error: io::Error| Error::start("cannot make a test server", Some(error));
        let factories = Factories::of_workers(
            move |worker: &Worker| make(worker).into_handler(),
            code.own_handlers,
        );
        let callee = Callee::new(&factories);
        let parts = parts::make(&options, callee).map_err(wrong)?;
        let parts::Parts { local, control, manager } = parts;
        let failed = |error: crate::Failure| Error::start(error.to_string(), None);
        let handlers = Handlers::make(&local.context, &factories).map_err(failed)?;
        let mut run = Run::new(Rc::clone(&local.context), handlers, control);
        run.start().map_err(failed)?;
        let events = Reactor::events();
        let both = Both { local, events, run, _manager: manager, clients: 0 };
        Ok(Self { both: Rc::new(RefCell::new(both)) })
    }

    /// A new client.
    ///
    /// # Panics
    /// When no connection can be made.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> TestClient {
        self.connect_by(PortId::FIRST)
    }

    /// A new client of the port with this name.
    ///
    /// ```
    /// use ostler::test::TestServer;
    /// use ostler::{Handler, Outcome, Package, Server, Session, Worker};
    ///
    /// struct Says(&'static [u8]);
    ///
    /// impl Handler for Says {
    ///     fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
    ///         Ok(session.send(self.0)?)
    ///     }
    /// }
    ///
    /// # fn main() -> ostler::Result<()> {
    /// let builder = Server::builder().listen("127.0.0.1:9501").port(
    ///     "admin",
    ///     "127.0.0.1:9502",
    ///     |port| port.handler(|_| Says(b"all is well")),
    /// );
    /// let server = TestServer::start(builder, |_| Says(b"hello"))?;
    /// let (mut client, mut admin) = (server.connect(), server.connect_to("admin"));
    /// client.send(b"x");
    /// client.expect(b"hello");
    /// admin.send(b"x");
    /// admin.expect(b"all is well");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When there is no such port, or no connection can be made.
    #[must_use]
    #[track_caller]
    pub fn connect_to(&self, port: &str) -> TestClient {
        let id = self.port_named(port);
        self.connect_by(id)
    }

    #[track_caller]
    fn port_named(&self, name: &str) -> PortId {
        let both = self.both.borrow();
        let port = both.local.context.port_named(name).map(|port| PortId(port.id()));
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        port.expect("a port of this name")
    }

    #[track_caller]
    fn connect_by(&self, port: PortId) -> TestClient {
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        let (client, server) = connection().expect("a connection");
        {
            let mut both = self.both.borrow_mut();
            both.clients += 1;
            let peer = std::net::SocketAddr::from(([127, 0, 0, 1], both.clients)).into();
            #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
            let session = both.local.reports.places.take(0).expect("a free place");
            let accepted = Accepted { socket: server.into(), session, peer, port };
            both.local.mailbox.push(ToReactor::Accepted(accepted));
            both.pump();
        }
        let pump: Rc<RefCell<dyn Pump>> = Rc::clone(&self.both) as _;
        TestClient::new(client, pump)
    }

    /// A new peer of the port with this name, which is one for datagrams (`udp://`).
    ///
    /// ```
    /// use ostler::test::TestServer;
    /// use ostler::{Handler, Outcome, Package, Packet, Server, Session, Worker};
    ///
    /// struct Upper;
    ///
    /// impl Handler for Upper {
    ///     fn on_packet(&mut self, _: &Worker, packet: &Packet) -> Outcome {
    ///         Ok(packet.reply(&packet.to_ascii_uppercase())?)
    ///     }
    ///
    ///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> ostler::Result<()> {
    /// let builder = Server::builder().listen("udp://127.0.0.1:9501");
    /// let server = TestServer::start(builder, |_| Upper)?;
    /// let peer = server.peer("main");
    /// peer.send(b"hello");
    /// peer.expect(b"HELLO");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When there is no such port, or no socket can be made.
    #[must_use]
    #[track_caller]
    pub fn peer(&self, port: &str) -> TestPeer {
        let both = self.both.borrow();
        let address = both.local.context.port_named(port).map(|port| port.local_address().clone());
        let address = address.and_then(|address| address.socket_address());
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        let socket = address
            .and_then(|address| {
                let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).ok()?;
                socket.connect(address).ok()?;
                socket.set_nonblocking(true).ok()?;
                Some(socket)
            })
            .expect("a port for datagrams of this name, and a socket");
        let pump: Rc<RefCell<dyn Pump>> = Rc::clone(&self.both) as _;
        TestPeer::new(socket, pump)
    }

    /// Lets the server do what there is to do: packages, timers that are due, what other threads
    /// have posted.
    pub fn run(&self) {
        self.both.borrow_mut().pump();
    }

    /// Looks at the worker and its reactor.
    #[cfg(test)]
    pub(crate) fn with_local<T>(&self, look: impl FnOnce(&Local) -> T) -> T {
        look(&self.both.borrow().local)
    }

    /// Looks at the handler, or changes it.
    pub fn handler<T>(&self, look: impl FnOnce(&mut H) -> T) -> T {
        look(self.both.borrow_mut().run.handlers().server())
    }

    /// Looks at the handler that a port has for itself ([`crate::PortBuilder::handler`]), or
    /// changes it.
    ///
    /// ```
    /// # use ostler::test::TestServer;
    /// # use ostler::{Handler, Outcome, Package, Server, Session, Worker};
    /// struct Count(u32);
    ///
    /// impl Handler for Count {
    ///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
    ///         self.0 += 1;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> ostler::Result<()> {
    /// let admin = |port: ostler::PortBuilder| port.handler(|_| Count(0));
    /// let builder = Server::builder().listen("127.0.0.1:1").port("admin", "127.0.0.1:2", admin);
    /// let server = TestServer::start(builder, |_| Count(0))?;
    /// server.connect_to("admin").send(b"x");
    /// assert_eq!(server.handler_of("admin", |admin: &mut Count| admin.0), 1);
    /// assert_eq!(server.handler(|main| main.0), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When there is no such port, or its handler is not of this type.
    #[track_caller]
    pub fn handler_of<P: Handler, T>(&self, port: &str, look: impl FnOnce(&mut P) -> T) -> T {
        let id = self.port_named(port);
        let mut both = self.both.borrow_mut();
        let own = both.run.handlers().own(id).and_then(|own| own.downcast_mut());
        #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
        look(own.expect("a handler of this type that the port has for itself"))
    }

    /// Runs until the handler is as it should be: for what timers and other threads do.
    ///
    /// # Panics
    /// When it is not within ten seconds.
    #[track_caller]
    pub fn run_until(&self, mut is_so: impl FnMut(&mut H) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.run();
            if self.handler(&mut is_so) {
                return;
            }
            assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn connection() -> io::Result<(UnixStream, UnixStream)> {
    let (client, server) = UnixStream::pair()?;
    client.set_nonblocking(true)?;
    server.set_nonblocking(true)?;
    Ok((client, server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseReason;
    use crate::{Framing, Outcome, Package, Server, Session};

    /// Counts, answers late, remembers.
    #[derive(Default)]
    struct Handled {
        events: Vec<String>,
        ticks: u32,
    }

    impl Handler for Handled {
        fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
            worker.every::<Self>(Duration::from_millis(1), |me, _| {
                me.ticks += 1;
                Ok(())
            });
            Ok(())
        }

        fn on_connect(&mut self, _worker: &Worker, _session: &Session) -> Outcome {
            self.events.push("connect".to_owned());
            Ok(())
        }

        fn on_receive(
            &mut self,
            _worker: &Worker,
            session: &Session,
            package: &Package,
        ) -> Outcome {
            match package.as_bytes() {
                b"late\n" => {
                    let mut deferred = package.defer().ok_or("deferred already")?;
                    std::thread::spawn(move || deferred.send(b"from another thread\n"));
                }
                b"fail\n" => return Err("told to fail".into()),
                other => session.send(other)?,
            }
            Ok(())
        }

        fn on_close(&mut self, _: &Worker, _: &Session, reason: CloseReason) -> Outcome {
            self.events.push(format!("close {}", reason.name()));
            Ok(())
        }
    }

    fn server() -> TestServer<Handled> {
        let builder = Server::builder().framing(Framing::lines());
        TestServer::start(builder, |_| Handled::default()).unwrap()
    }

    #[test]
    fn sessions_timers_and_threads_work_as_in_a_worker_process() {
        let server = server();
        let (mut one, mut two) = (server.connect(), server.connect());
        one.send(b"a\nb\nhal");
        one.expect(b"a\nb\n");
        assert!(one.received().is_empty(), "half a line is no package");
        one.send(b"f\n");
        one.expect(b"half\n");
        two.send(b"late\nafter it\n");
        two.expect(b"from another thread\nafter it\n");
        server.run_until(|handler| handler.ticks >= 3);
        drop(one);
        two.send(b"fail\n");
        two.expect_end();
        server.run_until(|handler| {
            let events: Vec<&str> = handler.events.iter().map(String::as_str).collect();
            matches!(
                events[..],
                ["connect", "connect", "close peer" | "close peer_error", "close worker"]
            )
        });
    }

    #[test]
    fn who_shuts_down_gets_the_answers_and_then_the_end() {
        let server = server();
        let mut client = server.connect();
        client.send(b"last\n");
        client.shutdown();
        client.expect(b"last\n");
        client.expect_end();
    }

    #[test]
    fn wrong_options_and_handlers_that_cannot_be_made_are_told() {
        let wrong =
            TestServer::start(Server::builder().set("framing", "x"), |_| Handled::default());
        assert_eq!(wrong.unwrap_err().exit_code(), crate::EXIT_OPTION);
        let broken = |_: &Worker| Err::<Handled, _>("no database");
        let error = TestServer::start(Server::builder(), broken).unwrap_err();
        assert!(error.to_string().contains("no database"), "{error}");
    }

    #[test]
    #[should_panic(expected = "expected \"b\\n\", got \"a\\n\"")]
    fn another_answer_than_expected_is_shown() {
        let server = server();
        let mut client = server.connect();
        client.send(b"a\n");
        client.expect(b"b\n");
    }

    /// The master tells the loss; a worker that had just begun is nobody's fault then, least of
    /// all that of its lanes.
    #[test]
    fn a_worker_whose_manager_died_while_it_began_is_an_orphan() {
        let (options, code) = Server::builder().into_parts().unwrap();
        let factories =
            Factories::of_workers(|_: &Worker| Ok(Handled::default()), code.own_handlers);
        let callee = Callee::new(&factories);
        let parts = parts::make(&options, callee).unwrap();
        drop(parts.manager);
        let handlers = Handlers::make(&parts.local.context, &factories).unwrap();
        let run = Run::new(parts.local.context, handlers, parts.control);
        assert_eq!(run.run(), crate::inheritance::EXIT_ORPHANED);
    }
}

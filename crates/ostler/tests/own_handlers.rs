//! A port has a handler of its own, or the server's; each of them has its own timers, remotes and
//! writers.
#![allow(clippy::expect_used)] // a test that cannot go on

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ostler::test::TestServer;
use ostler::{
    CloseReason, Handler, Outcome, Package, Packet, Server, ServerBuilder, Session, Worker, Writer,
};

type Journal = Rc<RefCell<Vec<String>>>;

/// Notes who is told of what.
struct Notes {
    name: &'static str,
    journal: Journal,
}

impl Notes {
    fn note(&self, what: &str) {
        self.journal.borrow_mut().push(format!("{} {what}", self.name));
    }

    fn go_on(&mut self, left: usize, mut writer: Writer) -> Outcome {
        let taken = writer.write(&vec![b'x'; left])?;
        if taken == left {
            self.note("written");
            return Ok(writer.finish()?);
        }
        writer.on_writable(move |me: &mut Self, _, writer| me.go_on(left - taken, writer));
        Ok(())
    }
}

impl Handler for Notes {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        self.note("start");
        worker.after::<Self>(Duration::ZERO, |me, _| {
            me.note("timer of the start");
            Ok(())
        });
        Ok(())
    }

    fn on_connect(&mut self, _: &Worker, _: &Session) -> Outcome {
        self.note("connect");
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        match package.as_bytes() {
            b"after" => {
                worker.after::<Self>(Duration::ZERO, |me, _| {
                    me.note("timer");
                    Ok(())
                });
            }
            b"every" => {
                let mut left = 2;
                worker.every::<Self>(Duration::from_millis(1), move |me, _| {
                    left -= 1;
                    if left == 0 {
                        me.note("turn");
                    }
                    Ok(())
                });
            }
            b"thread" => {
                let remote = worker.remote::<Self>();
                std::thread::spawn(move || remote.post(|me, _| me.note("post")));
            }
            b"stream" => return self.go_on(3_000_000, session.writer()?),
            _ => self.note("receive"),
        }
        Ok(())
    }

    fn on_buffer_full(&mut self, _: &Worker, _: &Session) -> Outcome {
        self.note("full");
        Ok(())
    }

    fn on_buffer_empty(&mut self, _: &Worker, _: &Session) -> Outcome {
        self.note("empty");
        Ok(())
    }

    fn on_packet(&mut self, _: &Worker, _: &Packet) -> Outcome {
        self.note("packet");
        Ok(())
    }

    fn on_close(&mut self, _: &Worker, _: &Session, _: CloseReason) -> Outcome {
        self.note("close");
        Ok(())
    }
}

/// A server whose ports `one`, `two` and `dgram` have handlers of one type, as `main` has. `plain`
/// has none of its own.
fn server(journal: &Journal) -> TestServer<Notes> {
    let notes = |name: &'static str| {
        let journal = Rc::clone(journal);
        move |_: &Worker| Notes { name, journal: Rc::clone(&journal) }
    };
    let builder = Server::builder()
        .set("framing", "raw")
        .set("send_queue_high", "64K")
        .set("send_queue_low", "4K")
        .listen("127.0.0.1:9501")
        .port("one", "127.0.0.1:9502", |port| port.handler(notes("one")))
        .port("plain", "127.0.0.1:9503", |port| port)
        .port("two", "127.0.0.1:9504", |port| port.handler(notes("two")))
        .port("dgram", "udp://127.0.0.1:0", |port| port.handler(notes("dgram")));
    TestServer::start(builder, notes("main")).expect("a server")
}

fn take(journal: &Journal) -> Vec<String> {
    journal.take()
}

#[test]
fn who_has_a_handler_is_told_of_its_own_sessions_and_the_servers_of_the_rest() {
    let journal = Journal::default();
    let server = server(&journal);
    assert_eq!(take(&journal), ["main start", "one start", "two start", "dgram start"]);
    server.run();
    let timers = ["main", "one", "two", "dgram"].map(|name| format!("{name} timer of the start"));
    assert_eq!(take(&journal), timers);
    for (port, handler) in [("main", "main"), ("one", "one"), ("plain", "main"), ("two", "two")] {
        let mut client = server.connect_to(port);
        client.send(b"x");
        drop(client);
        server.run();
        let events = ["connect", "receive", "close"].map(|event| format!("{handler} {event}"));
        assert_eq!(take(&journal), events, "{port}");
    }
    let peer = server.peer("dgram");
    peer.send(b"x");
    server.run_until(|_| !journal.borrow().is_empty());
    assert_eq!(take(&journal), ["dgram packet"]);
    server.handler_of("two", |two: &mut Notes| two.note("looked at"));
    assert_eq!(take(&journal), ["two looked at"]);
}

#[test]
fn timers_posts_and_writers_call_the_handler_that_made_them() {
    let journal = Journal::default();
    let server = server(&journal);
    server.run();
    for name in ["one", "two", "main", "one"] {
        let mut client = server.connect_to(name);
        for (word, note) in [("after", "timer"), ("every", "turn"), ("thread", "post")] {
            take(&journal);
            client.send(word.as_bytes());
            // Others have callbacks meanwhile.
            for other in ["two", "one", "main"] {
                server.connect_to(other).send(b"x");
            }
            let noted = format!("{name} {note}");
            server.run_until(|_| journal.borrow().contains(&noted));
            let others = journal.borrow();
            let others = others.iter().filter(|line| line.ends_with(note) && **line != noted);
            assert_eq!(others.count(), 0, "{journal:?}");
        }
    }
}

#[test]
fn a_writer_calls_the_handler_that_made_it_and_marks_are_told_to_the_ports() {
    let journal = Journal::default();
    let server = server(&journal);
    let (mut one, mut two) = (server.connect_to("one"), server.connect_to("two"));
    server.run();
    take(&journal);
    one.send(b"stream");
    two.send(b"stream");
    let (mut of_one, mut of_two) = (0, 0);
    while (of_one, of_two) != (3_000_000, 3_000_000) {
        of_one += one.received().len();
        of_two += two.received().len();
    }
    server.run();
    let mut noted = take(&journal);
    noted.sort();
    assert_eq!(noted, ["one written", "two written"]);
}

/// Sends more than the marks allow, from another handler than that of the port.
struct Flood {
    victim: Option<u64>,
}

impl Handler for Flood {
    fn on_receive(&mut self, worker: &Worker, _: &Session, package: &Package) -> Outcome {
        let id: u64 = std::str::from_utf8(package)?.parse()?;
        self.victim = Some(id);
        while worker.session(id).send(&[0; 4096]).is_ok() {}
        Ok(())
    }
}

/// Says its session's id.
struct Victim {
    journal: Journal,
}

impl Handler for Victim {
    fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
        Ok(session.send(format!("{}\n", session.id()).as_bytes())?)
    }

    fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
        Ok(())
    }

    fn on_buffer_full(&mut self, _: &Worker, _: &Session) -> Outcome {
        self.journal.borrow_mut().push("full".to_owned());
        Ok(())
    }

    fn on_buffer_empty(&mut self, _: &Worker, _: &Session) -> Outcome {
        self.journal.borrow_mut().push("empty".to_owned());
        Ok(())
    }
}

#[test]
fn a_full_buffer_is_told_to_the_handler_of_the_port_whoever_has_filled_it() {
    let journal = Journal::default();
    let of_victim = Rc::clone(&journal);
    let builder = Server::builder()
        .set("framing", "raw")
        .set("send_queue_high", "64K")
        .set("send_queue_low", "4K")
        .listen("127.0.0.1:9501")
        .port("victim", "127.0.0.1:9502", |port| {
            port.handler(move |_| Victim { journal: Rc::clone(&of_victim) })
        });
    let server = TestServer::start(builder, |_| Flood { victim: None }).expect("a server");
    let (mut flood, mut victim) = (server.connect(), server.connect_to("victim"));
    let id = victim.received();
    flood.send(id.trim_ascii());
    server.run_until(|flood| flood.victim.is_some());
    server.run();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while journal.borrow().last().is_none_or(|last| last != "empty") {
        let _ = victim.received();
        assert!(std::time::Instant::now() < deadline, "{journal:?}");
    }
    let told = take(&journal);
    assert!(told.chunks(2).all(|pair| pair == ["full", "empty"]), "{told:?}");
}

fn builder_with(make: fn(&Worker) -> Result<Flood, &'static str>) -> ServerBuilder {
    let builder = Server::builder().listen("127.0.0.1:9501");
    builder.port("admin", "127.0.0.1:9502", move |port| port.handler(make))
}

#[test]
fn a_handler_that_cannot_be_made_or_started_is_told_with_its_port() {
    let builder = builder_with(|_| Err("no database"));
    let error = TestServer::start(builder, |_| Flood { victim: None });
    let error = error.expect_err("a factory that fails").to_string();
    assert!(error.contains("the handler of the port admin: no database"), "{error}");

    struct NotStarted;

    impl Handler for NotStarted {
        fn on_worker_start(&mut self, _: &Worker) -> Outcome {
            Err("no table".into())
        }

        fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
            Ok(())
        }
    }

    let builder = Server::builder().listen("127.0.0.1:9501");
    let builder = builder.port("other", "127.0.0.1:9502", |port| port.handler(|_| NotStarted));
    let error = TestServer::start(builder, |_| Flood { victim: None });
    let error = error.expect_err("a handler that does not start").to_string();
    assert!(error.contains("the handler of the port other: no table"), "{error}");
}

#[test]
fn the_last_handler_that_is_said_for_a_port_counts() {
    let journal = Journal::default();
    let notes = |name: &'static str| {
        let journal = Rc::clone(&journal);
        move |_: &Worker| Notes { name, journal: Rc::clone(&journal) }
    };
    let builder =
        Server::builder().listen("127.0.0.1:9501").port("admin", "127.0.0.1:9502", |port| {
            port.handler(builder_is_not_asked).handler(notes("last"))
        });
    let server = TestServer::start(builder, notes("main")).expect("a server");
    server.connect_to("admin").send(b"x");
    assert!(take(&journal).contains(&"last receive".to_owned()));
}

fn builder_is_not_asked(_: &Worker) -> Result<Flood, &'static str> {
    Err("this factory was replaced")
}

#[test]
#[should_panic(expected = "the handler whose callback runs")]
fn a_timer_for_a_handler_that_does_not_run_is_refused() {
    struct Other;

    impl Handler for Other {
        fn on_receive(&mut self, worker: &Worker, _: &Session, _: &Package) -> Outcome {
            worker.after::<Flood>(Duration::ZERO, |_, _| Ok(()));
            Ok(())
        }
    }

    let builder = Server::builder().listen("127.0.0.1:9501");
    let builder = builder.port("other", "127.0.0.1:9502", |port| port.handler(|_| Other));
    let server = TestServer::start(builder, |_| Flood { victim: None }).expect("a server");
    server.connect_to("other").send(b"x");
}

//! A datagram that is answered later, from the worker's thread or from another one.
#![allow(clippy::expect_used)] // a test that cannot go on

use ostler::test::TestServer;
use ostler::{DeferredPacket, Handler, Outcome, Package, Packet, Server, Session, Worker};

/// Keeps each datagram that begins with a `k`, until `release` comes; answers all others at once.
#[derive(Default)]
struct Keeper {
    on_a_thread: bool,
    kept: Vec<DeferredPacket>,
    deferred_twice: bool,
    errors: Vec<bool>,
}

fn answer(mut deferred: DeferredPacket) {
    let answer = deferred.as_bytes().to_ascii_uppercase();
    deferred.reply(&answer).expect("there is room");
    deferred.reply(b"and more").expect("there is room");
}

impl Handler for Keeper {
    fn on_packet(&mut self, _: &Worker, packet: &Packet) -> Outcome {
        if packet.starts_with(b"k") {
            let deferred = packet.defer().ok_or("deferred already")?;
            self.deferred_twice |= packet.defer().is_some();
            self.kept.push(deferred);
            return Ok(());
        }
        if packet.as_bytes() == b"release" {
            for deferred in self.kept.drain(..) {
                if self.on_a_thread {
                    std::thread::spawn(move || answer(deferred));
                } else {
                    answer(deferred);
                }
            }
        }
        Ok(packet.reply(packet)?)
    }

    fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
        let id = session.id();
        for deferred in &mut self.kept {
            let bytes = deferred.as_bytes().to_vec();
            deferred.send_to_session(id, &bytes)?;
            let long = vec![0; 65_508];
            self.errors.push(deferred.reply(&long).is_err_and(|error| error.is_too_long()));
            let peer = ostler::PacketPeer::unix("/nobody").ok_or("a path")?;
            self.errors.push(deferred.send_to(&peer, b"x").is_err_and(|it| it.is_unreachable()));
        }
        self.kept.clear();
        Ok(())
    }
}

fn server(on_a_thread: bool) -> TestServer<Keeper> {
    let builder = Server::builder().listen("tcp://127.0.0.1:1");
    let builder = builder.port("dgram", "udp://127.0.0.1:2", |port| port);
    TestServer::start(builder, move |_| Keeper { on_a_thread, ..Keeper::default() })
        .expect("a server")
}

#[test]
fn a_deferred_datagram_is_answered_later_and_holds_nobody_up() {
    for on_a_thread in [false, true] {
        let server = server(on_a_thread);
        let (first, second) = (server.peer("dgram"), server.peer("dgram"));
        first.send(b"keep this");
        second.send(b"hello");
        second.expect(b"hello"); // it does not wait for the answer of another peer
        first.send(b"hello, too");
        first.expect(b"hello, too"); // nor for one of its own
        second.send(b"release");
        second.expect(b"release");
        first.expect(b"KEEP THIS");
        first.expect(b"and more");
        assert!(!server.handler(|keeper| keeper.deferred_twice));
    }
}

#[test]
fn a_deferred_datagram_may_send_to_a_session_and_is_told_what_cannot_be_sent() {
    let server = server(false);
    let peer = server.peer("dgram");
    peer.send(b"kept");
    server.run_until(|keeper| keeper.kept.len() == 1);
    let mut client = server.connect();
    client.send(b"show");
    client.expect(b"kept");
    assert_eq!(server.handler(|keeper| keeper.errors.clone()), [true, true]);
}

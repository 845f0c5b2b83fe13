//! A peer of a test server that sends datagrams.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{DEADLINE, Pump};

/// A peer that sends datagrams to one port, and gets those that are sent to it.
///
/// ```
/// # use ostler::test::TestPeer;
/// fn ask(peer: &TestPeer, question: &[u8], answer: &[u8]) {
///     peer.send(question);
///     peer.expect(answer);
/// }
/// ```
pub struct TestPeer {
    socket: UdpSocket,
    server: Rc<RefCell<dyn Pump>>,
}

impl std::fmt::Debug for TestPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestPeer({:?})", self.socket.local_addr())
    }
}

impl TestPeer {
    pub(super) fn new(socket: UdpSocket, server: Rc<RefCell<dyn Pump>>) -> Self {
        Self { socket, server }
    }

    /// Its own address, by which the server knows it.
    ///
    /// ```
    /// # use ostler::test::TestPeer;
    /// fn is_known(peer: &TestPeer, known: &[ostler::PacketPeer]) -> bool {
    ///     known.contains(&peer.address())
    /// }
    /// ```
    ///
    /// # Panics
    /// When the kernel does not say.
    #[must_use]
    #[track_caller]
    #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn address(&self) -> crate::PacketPeer {
        self.socket.local_addr().expect("an address").into()
    }

    /// Sends a datagram, and lets the server do what there is to do.
    ///
    /// ```
    /// # use ostler::test::TestPeer;
    /// fn greet(peer: &TestPeer) {
    ///     peer.send(b"hello");
    /// }
    /// ```
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    #[allow(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).expect("a datagram can be sent");
        self.server.borrow_mut().pump();
    }

    /// The next datagram that the server has sent to it; `None` when there is none.
    ///
    /// ```
    /// # use ostler::test::TestPeer;
    /// fn is_silent(peer: &TestPeer) -> bool {
    ///     peer.received().is_none()
    /// }
    /// ```
    #[must_use]
    pub fn received(&self) -> Option<Vec<u8>> {
        self.server.borrow_mut().pump();
        let mut buffer = vec![0; 65_536];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => {
                    buffer.truncate(len);
                    return Some(buffer);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Expects exactly this datagram next.
    ///
    /// ```
    /// # use ostler::test::TestPeer;
    /// fn is_greeted(peer: &TestPeer) {
    ///     peer.expect(b"hello");
    /// }
    /// ```
    ///
    /// # Panics
    /// When another one comes, or none within ten seconds.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8]) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(got) = self.received() {
                let (expected, got_text) = (bytes.escape_ascii(), got.escape_ascii());
                assert!(got == bytes, "expected \"{expected}\", got \"{got_text}\"");
                return;
            }
            assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for a datagram");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TestServer;
    use crate::{Handler, Outcome, Package, Packet, PacketPeer, Server, Session, Worker};
    use ostler_shm::peer::{PeerAddress, PeerBlock};
    use ostler_shm::record::{FLAG_MORE, Header, RecordKind};
    use std::net::SocketAddr;

    /// Echoes, and sends to whom it is told.
    #[derive(Default)]
    struct Echo {
        refused: Vec<String>,
    }

    impl Handler for Echo {
        fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome {
            if packet.as_bytes() == b"wrong" {
                let path = PacketPeer::unix("/run/x").ok_or("a path")?;
                let long = vec![0; 65_508];
                for sent in [
                    worker.send_to(7, packet.peer(), b"x"),
                    worker.send_to(1, packet.peer(), b"x"),
                    worker.send_to(0, &path, b"x"),
                    worker.send_to(0, packet.peer(), &long),
                ] {
                    let error = sent.err().ok_or("it was taken")?;
                    self.refused.push(format!("{} {error}", error.is_unreachable()));
                }
            }
            Ok(packet.reply(packet)?)
        }

        fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
            Ok(session.send(package)?)
        }
    }

    fn server() -> TestServer<Echo> {
        let builder = Server::builder()
            .set("port.main.listen", "udp://127.0.0.1:0")
            .set("port.tcp.listen", "tcp://127.0.0.1:0");
        TestServer::start(builder, |_| Echo::default()).unwrap()
    }

    #[test]
    fn peers_are_answered_each_for_itself() {
        let server = server();
        let (one, two) = (server.peer("main"), server.peer("main"));
        assert_ne!(one.address(), two.address());
        one.send(b"");
        two.send(b"two");
        one.send(&[7; 65_507]);
        one.expect(b"");
        one.expect(&[7; 65_507]);
        two.expect(b"two");
        assert_eq!(two.received(), None);
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_is_refused_with_the_reason() {
        let server = server();
        let peer = server.peer("main");
        peer.send(b"wrong");
        peer.expect(b"wrong");
        let refused = server.handler(|handler| handler.refused.clone());
        let words = [
            "true this port has no datagrams",
            "true this port has no datagrams",
            "true the port cannot send to this address",
            "false 65508 bytes are more than the 65507",
        ];
        for (refused, words) in refused.iter().zip(words) {
            assert!(refused.starts_with(words), "{refused}");
        }
        assert_eq!(refused.len(), words.len());
    }

    /// Writes a record as a worker that keeps to no rule, and tells whether it is still served.
    fn is_served_after(headers: &[Header], payload: &[u8]) -> bool {
        let server = server();
        let peer = server.peer("main");
        peer.send(b"before");
        peer.expect(b"before");
        {
            let both = server.both.borrow();
            for header in headers {
                both.local.context.sender.append_waiting(0, *header, payload, None).unwrap();
            }
            both.local.context.sender.publish();
        }
        peer.send(b"after");
        peer.received().is_some()
    }

    #[test]
    fn a_worker_that_writes_nonsense_for_a_datagram_is_served_no_more() {
        let right = Header { kind: RecordKind::SendTo as u8, port: 0, ..Header::default() };
        let block = |address| PeerBlock::new(address).unwrap().as_bytes().to_vec();
        let address = block(PeerAddress::Inet(free_address()));
        assert!(is_served_after(&[right], &address), "an empty datagram to somebody is none");
        let wrong = [Header { port: 1, ..right }, Header { port: 9, ..right }];
        for header in wrong {
            assert!(!is_served_after(&[header], &address), "{header:?}");
        }
        for payload in [
            Vec::new(),
            vec![0; 64],
            vec![255; 64],
            address[..7].to_vec(),
            block(PeerAddress::Path(b"/run/x")),
            block(PeerAddress::Unnamed),
            block(PeerAddress::Inet("[::1]:5".parse().unwrap())),
        ] {
            assert!(!is_served_after(&[right], &payload), "{payload:?}");
        }
        let part = Header { flags: FLAG_MORE, ..right };
        let rest = |offset: usize| Header { part_offset: offset as u32, ..right };
        let len = address.len();
        assert!(is_served_after(&[part, rest(len)], &address), "parts in their order");
        assert!(is_served_after(&[part, right], &address), "one that is not completed");
        assert!(!is_served_after(&[part, rest(len + 1)], &address), "a hole");
        assert!(!is_served_after(&[rest(len)], &address), "a rest of nothing");
        let parts: Vec<Header> = (0..5)
            .map(|index| Header { part_offset: index * 16_000, flags: FLAG_MORE, ..right })
            .collect();
        assert!(!is_served_after(&parts, &[0; 16_000]), "longer than a datagram may be");
    }

    /// An address of the loopback device where nobody is.
    fn free_address() -> SocketAddr {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }
}

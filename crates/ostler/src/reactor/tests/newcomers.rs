//! Connections that have no session yet.

use super::*;
use crate::options::{Proxies, ProxyProtocol};

/// A port behind a proxy that is anybody.
fn behind_proxy(change: impl FnOnce(&mut PortOptions)) -> Options {
    let mut options = framed();
    options.port.proxy_protocol = ProxyProtocol::Required;
    options.port.proxy_protocol_from = Proxies::local();
    change(&mut options.port);
    options
}

/// A connection of a proxy that has sent this.
fn proxied(reactor: &mut Reactor, bytes: &[u8]) -> UnixStream {
    let (mut client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    client.write_all(bytes).unwrap();
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
    let session = reactor.clients.reports.places.take(0).unwrap();
    reactor.clients.accepted(Accepted { socket: OwnedFd::from(server), session, peer, port: PORT });
    client
}

/// Turns with all events that are there, and a worker that does what it is given.
fn turns(reactor: &mut Reactor) {
    let lane = reactor.destinations.find(KEY).unwrap();
    let mut events = Reactor::events();
    for _ in 0..6 {
        reactor.sleep(&mut events, true, None);
        reactor.turn(&events);
        for seq in 1.. {
            if reactor.clients.brain.in_hand(lane) == 0 {
                break;
            }
            // Those before it are done already.
            let _ = reactor.clients.brain.finish(lane, seq, u64::MAX);
        }
    }
}

/// A reactor whose clock is that of its turns.
fn in_turn(options: &Options) -> Reactor {
    let mut reactor = reactor(options);
    turns(&mut reactor);
    reactor
}

/// The hang-up is told with the header and what is behind it.
#[test]
fn who_hangs_up_behind_its_header_and_a_request_is_served_as_anybody_is() {
    let mut reactor = in_turn(&behind_proxy(|_| {}));
    for (number, bytes) in
        [&b"PROXY UNKNOWN\r\nx\r\n"[..], b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nx\r\n"]
            .into_iter()
            .enumerate()
    {
        drop(proxied(&mut reactor, bytes));
        turns(&mut reactor);
        assert_eq!(reactor.clients.header_counts.read, number as u64 + 1);
        assert_eq!(reactor.clients.brain.books().received, number as u64 + 1);
    }
    drop(proxied(&mut reactor, b"PROXY TCP4 1.2."));
    turns(&mut reactor);
    assert_eq!(reactor.clients.header_counts.left, 1);
    assert_eq!(reactor.clients.header_counts.open(), 0);
}

#[cfg(feature = "tls")]
mod encrypted {
    use super::*;
    use crate::reactor::accept::Arrival;
    use crate::reactor::handshakes::Stage;
    use crate::reactor::transport::Transport;
    use crate::tls::testing::{Authority, load};

    const BUDGET: usize = 1024 * 1024;

    /// Who has no session cannot be closed for what sessions lack.
    #[test]
    fn unfinished_handshakes_take_no_memory_from_sessions() {
        let mut options = framed();
        options.memory_budget = BUDGET as _;
        let mut reactor = in_turn(&options);
        let (_client, slot) = connect(&mut reactor);
        let connection = reactor.clients.connections.get_mut(slot).unwrap();
        connection.output.push(100_000, |chunk| chunk.resize(100_000, b'x'));
        reactor.clients.output_resized(slot, 0);
        let authority = Authority::new("hello-halves");
        let config = load(&authority.settings(&["localhost"])).unwrap();
        let hello = [&[0x16, 3, 1, 0x40, 0][..], &[1, 0, 0xf0, 0], &[0; 16_380]].concat();
        let mut clients = Vec::new();
        for _ in 0..70 {
            let (mut client, server) = UnixStream::pair().unwrap();
            server.set_nonblocking(true).unwrap();
            client.write_all(&hello).unwrap();
            client.write_all(&hello[..2_000]).unwrap();
            let stage = Stage::Handshake(
                Transport::tls(OwnedFd::from(server).into(), config.clone()).unwrap(),
            );
            let session = reactor.clients.reports.places.take(0).unwrap();
            let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
            reactor
                .clients
                .begin_newcomer(stage, Arrival { session, peer, port: PORT, is_unnamed: false });
            clients.push(client);
            turns(&mut reactor);
            let used = reactor.clients.memory.used();
            assert!(used <= 110_000 + 140_000, "{used} bytes");
        }
        assert!(reactor.clients.connections.get_mut(slot).is_some());
        assert_eq!(reactor.clients.brain.books().closed[CloseReason::MemoryBudget as usize], 0);
        let counts = reactor.clients.counts;
        assert!(counts.crowded_out > 50 && counts.open() > 1, "{counts:?}");
        drop(clients);
    }
}

use super::*;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

fn inet(text: &str) -> PeerBlock {
    PeerBlock::new(PeerAddress::Inet(text.parse().unwrap())).unwrap()
}

fn received(batch: &Batch, index: usize) -> (PeerBlock, Vec<u8>) {
    match batch.get(index) {
        Some(Received::Datagram { record, address_bytes }) => {
            (PeerBlock::read(record).unwrap(), record[address_bytes..].to_vec())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_are_received_and_sent_at_once_with_their_addresses() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let socket = bind_udp(address.parse().unwrap(), |_| Ok(())).unwrap();
        let local = crate::sys::socket::local_address(&socket).unwrap();
        let peers: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind(address).unwrap()).collect();
        for (index, peer) in peers.iter().enumerate() {
            assert_eq!(peer.send_to(&vec![7; index * 30_000], local).unwrap(), index * 30_000);
        }
        let mut batch = Batch::new();
        assert_eq!(
            batch.receive(&socket, family(&socket).unwrap(), 2).unwrap(),
            2,
            "no more than was asked for"
        );
        let first = received(&batch, 0);
        assert_eq!(first, (inet(&peers[0].local_addr().unwrap().to_string()), Vec::new()));
        assert_eq!(received(&batch, 1).1, vec![7; 30_000]);
        assert_eq!(batch.get(2), None);
        assert_eq!(batch.receive(&socket, family(&socket).unwrap(), BATCH).unwrap(), 1);
        let (peer, bytes) = received(&batch, 0);
        let target = Target::new(&peer, family(&socket).unwrap()).unwrap();
        let both = [(&target, &bytes[..1]), (&target, &bytes[..0])];
        assert_eq!(send(&socket, both.into_iter()).unwrap(), 2);
        assert_eq!(peers[2].recv(&mut [0; 9]).unwrap(), 1);
        assert_eq!(peers[2].recv(&mut [0; 9]).unwrap(), 0);
        let error = batch.receive(&socket, family(&socket).unwrap(), BATCH).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn what_the_kernel_dropped_is_told() {
    let socket = bind_udp("127.0.0.1:0".parse().unwrap(), |_| Ok(())).unwrap();
    let local = crate::sys::socket::local_address(&socket).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(dropped(&socket), Some(0));
    let mut sent = 0;
    while dropped(&socket) == Some(0) {
        peer.send_to(&[0; 60_000], local).unwrap();
        sent += 1;
    }
    let mut batch = Batch::new();
    let mut got = 0;
    while let Ok(count) = batch.receive(&socket, family(&socket).unwrap(), BATCH) {
        got += count;
    }
    peer.send_to(b"x", local).unwrap();
    assert_eq!(batch.receive(&socket, family(&socket).unwrap(), BATCH).unwrap(), 1);
    assert_eq!(batch.dropped(), dropped(&socket));
    assert_eq!(got + dropped(&socket).unwrap() as usize, sent);
}

#[test]
fn unix_sockets_have_names_or_none_and_longer_datagrams() {
    let directory = std::env::temp_dir().join(format!("ostler-dgram-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("server");
    let socket = OwnedFd::from(UnixDatagram::bind(&path).unwrap());
    let named = UnixDatagram::bind(directory.join("peer")).unwrap();
    let unnamed = UnixDatagram::unbound().unwrap();
    named.send_to(b"a", &path).unwrap();
    unnamed.send_to(b"", &path).unwrap();
    unnamed.send_to(&[0; DATAGRAM_MAX_BYTES + 1], &path).unwrap();
    let mut batch = Batch::new();
    assert_eq!(batch.receive(&socket, family(&socket).unwrap(), BATCH).unwrap(), 3);
    let (peer, bytes) = received(&batch, 0);
    assert_eq!(bytes, b"a");
    let target = Target::new(&peer, family(&socket).unwrap()).unwrap();
    assert_eq!(send(&socket, std::iter::once((&target, &b"b"[..]))).unwrap(), 1);
    assert_eq!(named.recv(&mut [0; 9]).unwrap(), 1);
    let (nobody, _) = received(&batch, 1);
    assert_eq!(nobody.address(), Some(PeerAddress::Unnamed));
    assert!(Target::new(&nobody, Family::Unix).is_none());
    assert_eq!(batch.get(2), Some(Received::TooLong));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_socket_takes_addresses_of_its_own_family_only() {
    let (v4, v6) = (inet("127.0.0.1:5"), inet("[::1]:5"));
    let path = PeerBlock::new(PeerAddress::Path(b"/run/x")).unwrap();
    for (peer, family, can) in [
        (v4, Family::V4, true),
        (v4, Family::V6, true),
        (v4, Family::Unix, false),
        (v6, Family::V4, false),
        (v6, Family::V6, true),
        (path, Family::Unix, true),
        (path, Family::V4, false),
    ] {
        let target = Target::new(&peer, family);
        assert_eq!(target.is_some(), can, "{peer:?} {family:?}");
        if let Some(target) = target {
            assert_eq!(peer_of(&target.name, target.len as usize), Some(peer), "one form");
        }
    }
}

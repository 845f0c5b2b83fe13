use super::*;
use crate::sys::poll;
use crate::sys::socket_options::{self, SocketOption};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

fn loopback() -> (OwnedFd, SocketAddr) {
    let no_delay = |socket: &OwnedFd| socket_options::set(socket, SocketOption::NoDelay);
    let listener = listen("127.0.0.1:0".parse().unwrap(), 128, no_delay).unwrap();
    let address = local_address(&listener).unwrap();
    (listener, address)
}

fn connected() -> (OwnedFd, TcpStream) {
    let (listener, address) = loopback();
    let client = TcpStream::connect(address).unwrap();
    wait(&listener);
    let (server, peer) = accept(&listener).unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(accept(&listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    (server, client)
}

fn wait(descriptor: impl AsFd) {
    assert_eq!(poll::wait_readable([descriptor.as_fd()], None).unwrap(), [true]);
}

#[test]
fn bytes_go_both_ways_and_ends_are_seen() {
    let (server, mut client) = connected();
    let mut buffer = [0; 64];
    assert_eq!(recv(&server, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.write_all(b"question").unwrap();
    wait(&server);
    // SAFETY: `buffer` is 64 bytes of ours, used by nobody else during the call.
    let count = unsafe { recv_raw(&server, buffer.as_mut_ptr(), 5) }.unwrap();
    assert_eq!(&buffer[..count], b"quest");
    let count = recv(&server, &mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"ion");
    assert_eq!(send(&server, b"an").unwrap(), 2);
    let rest = b"swer";
    // SAFETY: `rest` is 4 bytes that live on.
    assert_eq!(unsafe { send_raw(&server, rest.as_ptr(), 4) }.unwrap(), 4);
    shutdown_write(&server).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    drop(client);
    wait(&server);
    assert_eq!(recv(&server, &mut buffer).unwrap(), 0);
}

#[test]
fn a_full_socket_takes_a_part_then_would_block_and_a_gone_peer_is_no_signal() {
    let (server, client) = connected();
    let block = vec![1; 1 << 20];
    let mut taken = 0;
    let error = loop {
        match send(&server, &block) {
            Ok(count) => taken += count,
            Err(error) => break error,
        }
    };
    assert!(taken > 0);
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(client); // with unread bytes: RST
    wait(&server);
    assert!(recv(&server, &mut [0; 8]).is_err());
    assert_eq!(send(&server, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_reset_reaches_the_peer() {
    let (server, mut client) = connected();
    reset(server);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

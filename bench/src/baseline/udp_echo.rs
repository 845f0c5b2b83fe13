//! The limit for datagrams: `recvmmsg` and `sendmmsg` in turn, in one thread, on one socket.

use std::convert::Infallible;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::say_listening;
use crate::{Error, Result};

/// Datagrams received, and then sent, with one system call.
const BATCH: usize = 64;
/// Room for the longest datagram there is, and a cache line more: the beginnings of the buffers
/// would otherwise all fall into one set of the cache.
const DATAGRAM_BYTES: usize = 65_536 + 64;

/// Serves until the process is killed; returns only on failure.
pub(super) fn serve(listen: SocketAddr) -> Result<Infallible> {
    let socket = UdpSocket::bind(listen).map_err(Error::system("bind"))?;
    let address = socket.local_addr().map_err(Error::system("local address"))?;
    say_listening("udp", address)?;
    let mut buffers = vec![[0_u8; DATAGRAM_BYTES]; BATCH];
    let mut incoming = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut lengths = [0_usize; BATCH];
    let mut peers: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
    loop {
        let received = receive(&socket, &mut incoming, &mut buffers, &mut lengths, &mut peers)?;
        send(&socket, &mut outgoing, &buffers, &lengths, &peers, received)?;
    }
}

/// Waits for the first datagram and takes with it what else is there.
fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; DATAGRAM_BYTES]],
    lengths: &mut [usize; BATCH],
    peers: &mut [Option<SockaddrStorage>; BATCH],
) -> Result<usize> {
    let mut buffers = buffers.iter_mut();
    let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|_| {
        [IoSliceMut::new(buffers.next().map_or(&mut [][..], |buffer| &mut buffer[..]))]
    });
    let flags = MsgFlags::MSG_WAITFORONE;
    let messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)
        .map_err(Error::system("recvmmsg"))?;
    let mut received = 0;
    for ((message, length), peer) in messages.zip(lengths).zip(peers) {
        (*length, *peer) = (message.bytes, message.address);
        received += 1;
    }
    Ok(received)
}

fn send(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &[[u8; DATAGRAM_BYTES]],
    lengths: &[usize; BATCH],
    peers: &[Option<SockaddrStorage>; BATCH],
    received: usize,
) -> Result<()> {
    let mut answers = buffers.iter().zip(lengths);
    let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|_| {
        let answer = answers.next().and_then(|(buffer, length)| buffer.get(..*length));
        [IoSlice::new(answer.unwrap_or_default())]
    });
    let peers = peers.get(..received).unwrap_or_default();
    let flags = MsgFlags::empty();
    sendmmsg(socket.as_raw_fd(), headers, slices.iter(), peers, [], flags)
        .map_err(Error::system("sendmmsg"))?;
    Ok(())
}

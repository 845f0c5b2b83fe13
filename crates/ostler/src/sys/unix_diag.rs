//! Which unix sockets have something that nobody has read: `sock_diag(7)`, which tells it to
//! everybody who asks, of the sockets of its own network namespace.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use ostler_shm::peer::{PeerAddress, PeerBlock};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`, of the request and of each answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST` and `NLM_F_DUMP`.
const REQUEST_ALL: u16 = 0x1 | 0x300;
/// `UDIAG_SHOW_NAME` and `UDIAG_SHOW_RQLEN`.
const NAME_AND_QUEUE: u32 = 0x1 | 0x10;
/// `UNIX_DIAG_NAME` and `UNIX_DIAG_RQLEN`.
const NAME: u16 = 0;
const QUEUE: u16 = 4;
/// Bytes of the header of a message, and of what is in front of the attributes of a socket.
const HEADER: usize = 16;
const SOCKET_HEAD: usize = 16;
/// Most bytes of one answer of the kernel, which knows many sockets in several.
const ANSWER_BYTES: usize = 32 * 1024;
/// Most answers to one question: a million sockets.
const ANSWERS_MAX: usize = 4_096;

/// Who asks.
#[derive(Debug)]
pub(crate) struct UnixSockets {
    socket: OwnedFd,
    asked: u32,
}

impl UnixSockets {
    /// `socket(2)`, `AF_NETLINK`.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self { socket, asked: 0 })
    }

    /// All sockets for datagrams that have a name, and whether the first datagram that was not read
    /// there has bytes.
    pub(crate) fn unread(&mut self) -> io::Result<HashMap<PeerBlock, bool>> {
        self.asked = self.asked.wrapping_add(1);
        send(&self.socket, &question(self.asked), SendFlags::empty())?;
        let mut found = HashMap::new();
        let mut answer = vec![0_u8; ANSWER_BYTES];
        for _ in 0..ANSWERS_MAX {
            let (len, _) = recv(&self.socket, answer.as_mut_slice(), RecvFlags::empty())?;
            if take(answer.get(..len).unwrap_or_default(), self.asked, &mut found)? {
                return Ok(found);
            }
        }
        Err(io::ErrorKind::QuotaExceeded.into())
    }
}

/// Every unix socket, with its name and what is in its queue.
fn question(number: u32) -> Vec<u8> {
    let [flags, kind] = [REQUEST_ALL, BY_FAMILY].map(u16::to_ne_bytes);
    // The family, no protocol, any state, any number, and any cookie.
    let family = [u8::try_from(libc::AF_UNIX).unwrap_or_default(), 0, 0, 0];
    let of_sockets = [u32::MAX, 0, NAME_AND_QUEUE, u32::MAX, u32::MAX].map(u32::to_ne_bytes);
    let len = HEADER + family.len() + of_sockets.as_flattened().len();
    let [len, number, nobody] = [len as u32, number, 0].map(u32::to_ne_bytes);
    [&len[..], &kind, &flags, &number, &nobody, &family, of_sockets.as_flattened()].concat()
}

/// Reads an answer. True when it was the last one to this question.
fn take(mut bytes: &[u8], number: u32, found: &mut HashMap<PeerBlock, bool>) -> io::Result<bool> {
    while let Some((message, rest)) = next(bytes, u32_at(bytes, 0)) {
        bytes = rest;
        // What is left of a question that was given up.
        if u32_at(message, 8) != Some(number) {
            continue;
        }
        let body = message.get(HEADER..).unwrap_or_default();
        match u16_at(message, 4) {
            Some(DONE) => return Ok(true),
            Some(ERROR) => {
                let errno = u32_at(body, 0).map_or(0, |errno| (errno as i32).wrapping_neg());
                return Err(io::Error::from_raw_os_error(errno));
            }
            Some(BY_FAMILY) => note_socket(body, found),
            _ => {}
        }
    }
    Ok(false)
}

fn note_socket(body: &[u8], found: &mut HashMap<PeerBlock, bool>) {
    let is_for_datagrams = body.get(1).copied().map(i32::from) == Some(libc::SOCK_DGRAM);
    let mut attributes = body.get(SOCKET_HEAD..).unwrap_or_default();
    let (mut name, mut queue) = (None, 0);
    while let Some((attribute, rest)) = next(attributes, u16_at(attributes, 0).map(u32::from)) {
        attributes = rest;
        let value = attribute.get(4..).unwrap_or_default();
        match u16_at(attribute, 2) {
            Some(NAME) => name = block_of(value),
            Some(QUEUE) => queue = u32_at(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    if let Some(name) = name.filter(|_| is_for_datagrams) {
        // A path may have had several sockets; whoever sends there reaches one of them.
        *found.entry(name).or_default() |= queue > 0;
    }
}

/// The name of a socket as the addresses of its datagrams have it.
fn block_of(name: &[u8]) -> Option<PeerBlock> {
    PeerBlock::new(match name {
        [] => return None,
        [0, name @ ..] => PeerAddress::Abstract(name),
        path => PeerAddress::Path(path.split(|byte| *byte == 0).next()?),
    })
}

/// The first of several things that say how long they are, and those behind it.
fn next(bytes: &[u8], len: Option<u32>) -> Option<(&[u8], &[u8])> {
    let len = usize::try_from(len?).ok().filter(|len| *len >= 4)?;
    let one = bytes.get(..len)?;
    Some((one, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn who_has_not_read_is_known_by_name() {
        let mut sockets = UnixSockets::open().unwrap();
        let name = format!("ostler-diag-{}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).unwrap();
        let peer = UnixDatagram::bind_addr(&at).unwrap();
        let path = std::env::temp_dir().join(&name);
        let other = UnixDatagram::bind(&path).unwrap();
        let block = PeerBlock::new(PeerAddress::Abstract(name.as_bytes())).unwrap();
        let of_path = PeerAddress::Path(path.as_os_str().as_encoded_bytes());
        let of_path = PeerBlock::new(of_path).unwrap();
        let mut states = || {
            let found = sockets.unread().unwrap();
            (found.get(&block).copied(), found.get(&of_path).copied())
        };
        assert_eq!(states(), (Some(false), Some(false)));
        UnixDatagram::unbound().unwrap().send_to_addr(b"x", &at).unwrap();
        assert_eq!(states(), (Some(true), Some(false)));
        UnixDatagram::unbound().unwrap().send_to(b"x", &path).unwrap();
        peer.recv(&mut [0]).unwrap();
        assert_eq!(states(), (Some(false), Some(true)));
        drop((peer, other));
        assert_eq!(states(), (None, None), "it has closed");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_the_kernel_does_not_say_is_an_error_or_nothing() {
        let mut found = HashMap::new();
        for len in 0..64 {
            for byte in [0_u8, 1, 4, 16, 255] {
                let _ = take(&vec![byte; len], u32::from_ne_bytes([byte; 4]), &mut found);
            }
        }
        assert!(found.is_empty());
        let mut refused = [0; 20];
        refused[..4].copy_from_slice(&20_u32.to_ne_bytes());
        refused[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        refused[16..].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        let error = take(&refused, 0, &mut found).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(!take(&refused, 1, &mut found).unwrap(), "that was another question");
    }
}

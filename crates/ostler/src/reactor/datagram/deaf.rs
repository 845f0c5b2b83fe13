//! Peers of a unix socket that do not read: what waits for them fills the buffer from which
//! everybody is answered.
//!
//! Who may be sent one more is decided by [`Unread`]; here the kernel is asked, how full the buffer
//! is before each call, and who has read everything when somebody is refused.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use ostler_core::unread::{Buffer, Unread};
use ostler_shm::peer::PeerBlock;

use crate::sys::datagram;
use crate::sys::unix_diag::UnixSockets;

/// Time between two looks at least; more, if a look takes long.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// So much of the time is not spent with looking, for each part that is.
const PAUSE_PER_LOOK: u32 = 20;

/// Bytes that the kernel takes for a datagram besides its own: its records about it.
const OVERHEAD: usize = 320;
/// What a datagram takes at least of the memory of its bytes, and what its record takes.
const DATA_LEAST: usize = 512;
const RECORD: usize = 256;

/// The accounts of the peers of a port.
#[derive(Debug)]
pub(super) struct Deaf {
    accounts: Unread<PeerBlock>,
    /// `None`: nobody can be asked who reads, and so nobody is limited.
    sockets: Option<UnixSockets>,
    next_look: Option<Instant>,
}

/// What a datagram costs of the buffer, as the kernel counts: memory in powers of two.
fn cost(len: usize) -> u64 {
    let data = (len + OVERHEAD).next_power_of_two().max(DATA_LEAST);
    (data + RECORD) as u64
}

impl Deaf {
    /// Of a port of which nothing was sent.
    pub(super) fn new() -> Self {
        let sockets = UnixSockets::open();
        let sockets = sockets.inspect_err(tell).ok();
        Self { accounts: Unread::default(), sockets, next_look: None }
    }

    /// How many of these datagrams, from the first, may be sent now: each for a peer, of so many
    /// bytes. They count as sent.
    pub(super) fn admit(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (PeerBlock, usize)>,
    ) -> usize {
        let Some((used, size)) = datagram::unread(socket).filter(|_| self.sockets.is_some()) else {
            return datagrams.count();
        };
        let mut buffer = Buffer { used: used.into(), size: size.into() };
        self.accounts.note(buffer);
        let mut admitted = 0;
        for (peer, len) in datagrams {
            let may = self.accounts.admits(&peer, buffer);
            // What is sent before a look would be missing in it.
            if !may && (admitted > 0 || !self.admits_after_look(&peer, buffer)) {
                break;
            }
            self.accounts.sent(peer, cost(len), len == 0);
            buffer.used += cost(len);
            admitted += 1;
        }
        admitted
    }

    /// These were not sent after all.
    pub(super) fn take_back(&mut self, datagrams: impl Iterator<Item = (PeerBlock, usize)>) {
        datagrams.for_each(|(peer, len)| self.accounts.not_sent(&peer, cost(len)));
    }

    fn admits_after_look(&mut self, peer: &PeerBlock, buffer: Buffer) -> bool {
        let now = Instant::now();
        let Some(sockets) = self.sockets.as_mut() else { return true };
        if self.next_look.is_some_and(|next| now < next) {
            return false;
        }
        match sockets.unread() {
            Ok(unread) => {
                let is_behind = |peer: &PeerBlock| unread.get(peer).is_some_and(|behind| *behind);
                self.accounts.looked(buffer, is_behind);
            }
            Err(error) => {
                tell(&error);
                self.sockets = None;
                return true;
            }
        }
        let took = now.elapsed();
        self.next_look = Some(now + LOOK_PAUSE.max(took * PAUSE_PER_LOOK) + took);
        self.accounts.admits(peer, buffer)
    }
}

fn tell(error: &std::io::Error) {
    let what = "the kernel does not tell which peers of unix sockets do not read";
    tracing::debug!(%error, "{what}: one of them may keep out the others");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// About as much: what the kernel's own records take differs from version to version, and what
    /// is long is counted in pages.
    #[test]
    fn a_datagram_costs_what_the_kernel_counts() {
        let (from, to) = UnixDatagram::pair().unwrap();
        for len in [0, 1, 100, 192, 193, 700, 1_472, 3_700, 9_000, 20_000, 65_507] {
            from.send(&vec![7; len]).unwrap();
            let (used, _) = datagram::unread(&from).unwrap();
            let ratio = cost(len) as f64 / f64::from(used);
            assert!((0.5..=2.1).contains(&ratio), "{len} bytes: {used}, {}", cost(len));
            to.recv(&mut [0; 70_000]).unwrap();
        }
    }

    #[test]
    fn who_does_not_read_is_told_from_who_does() {
        let name = |which: &str| format!("ostler-deaf-{}-{which}", std::process::id());
        let peer = |which: &str| {
            let name = name(which);
            let at = SocketAddr::from_abstract_name(&name).unwrap();
            let block = ostler_shm::peer::PeerAddress::Abstract(name.as_bytes());
            let block = PeerBlock::new(block).unwrap();
            (UnixDatagram::bind_addr(&at).unwrap(), at, block)
        };
        let from = UnixDatagram::unbound().unwrap();
        datagram::widen_send_buffer(&from, 4_096).unwrap();
        let (deaf, good) = (peer("deaf"), peer("good"));
        let mut accounts = Deaf::new();
        let mut send = |to: &(UnixDatagram, SocketAddr, PeerBlock)| {
            let admitted = accounts.admit(from.as_fd(), [(to.2, 1)].into_iter()) == 1;
            if admitted && from.send_to_addr(b"x", &to.1).is_err() {
                accounts.take_back([(to.2, 1)].into_iter());
                return false;
            }
            admitted
        };
        from.set_nonblocking(true).unwrap();
        let sent = (0..64).filter(|_| send(&deaf)).count();
        assert!((1..5).contains(&sent), "{sent}");
        for round in 0..1_000 {
            assert!(send(&good), "round {round}");
            good.0.recv(&mut [0]).unwrap();
        }
        deaf.0.set_nonblocking(true).unwrap();
        while deaf.0.recv(&mut [0]).is_ok() {}
        assert!(send(&deaf), "it reads now");
    }
}

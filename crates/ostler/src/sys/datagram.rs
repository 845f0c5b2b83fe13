//! Datagram sockets: many datagrams with one system call.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use ostler_shm::peer::{BLOCK_MAX_BYTES, PeerAddress, PeerBlock};
use rustix::net::sockopt::set_socket_reuseport;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};

/// Datagrams of one system call: enough to share its cost, few enough that others have their turn
/// soon.
pub(crate) const BATCH: usize = 64;
/// The longest datagram that is received or sent: the most that IPv4 has room for.
pub(crate) const DATAGRAM_MAX_BYTES: usize = 65_507;

/// Room in front of each datagram for the address of its sender.
const FRONT: usize = BLOCK_MAX_BYTES.next_multiple_of(64);
/// Bytes of one place: the longest datagram, and one byte by which a longer one is told. The odd
/// multiple of a cache line keeps the beginnings of all places out of one set of the cache.
const PLACE: usize = FRONT + (DATAGRAM_MAX_BYTES + 1).next_multiple_of(64) + 64;
/// Words of control data of one datagram: a header and the number of dropped ones.
const CONTROL_WORDS: usize = 4;

/// The kinds of addresses that a socket can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
}

/// `socket(2)`, `bind(2)` — makes a nonblocking UDP socket that tells how many datagrams the kernel
/// has dropped; `prepare` sets options before it is bound. An address in use is an error: two
/// servers would share its datagrams.
pub(crate) fn bind_udp(
    address: SocketAddr,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let socket = new_udp(address)?;
    prepare(&socket)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// The same for several sockets at one address (`SO_REUSEPORT`): the kernel gives the datagrams of
/// a peer to one of them, which stays the same as long as there are as many. The first one is bound
/// without that option, so that an address in use is found.
pub(crate) fn bind_udp_group(
    address: SocketAddr,
    sockets: u16,
    prepare: impl Fn(&OwnedFd) -> io::Result<()>,
) -> io::Result<Vec<OwnedFd>> {
    let first = bind_udp(address, &prepare)?;
    if sockets <= 1 {
        return Ok(vec![first]);
    }
    set_socket_reuseport(&first, true)?;
    let address = super::socket::local_address(&first)?;
    let mut group = vec![first];
    for _ in 1..sockets {
        let socket = new_udp(address)?;
        set_socket_reuseport(&socket, true)?;
        prepare(&socket)?;
        bind(&socket, &address)?;
        group.push(socket);
    }
    Ok(group)
}

fn new_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    tell_drops(&socket);
    Ok(socket)
}

/// `socket(2)`, `fchmod(2)`, `bind(2)` — makes a nonblocking unix socket at this path, with these
/// permissions as far as the process's mask allows them.
pub(crate) fn bind_unix(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    // A socket's file has the permissions of the socket.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(mode))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// `setsockopt(2)`, `SO_RXQ_OVFL` — datagrams tell how many before them were dropped. A kernel that
/// cannot is asked at the end only.
pub(crate) fn tell_drops(socket: &OwnedFd) {
    let one: libc::c_int = 1;
    // SAFETY: the descriptor is open (borrowed), the value is an integer of the length that is
    // given.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RXQ_OVFL,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// `getsockname(2)` — what kind of addresses the socket has.
pub(crate) fn family(socket: impl AsFd) -> io::Result<Family> {
    match rustix::net::getsockname(socket)?.address_family() {
        AddressFamily::INET => Ok(Family::V4),
        AddressFamily::INET6 => Ok(Family::V6),
        AddressFamily::UNIX => Ok(Family::Unix),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Figures of `SO_MEMINFO`.
const MEMORY_FIGURES: usize = 9;

/// `getsockopt(2)`, `SO_MEMINFO` — how many datagrams the kernel has dropped at this socket since
/// it was made; `None` where it does not say.
pub(crate) fn dropped(socket: impl AsFd) -> Option<u32> {
    let [.., drops] = memory_of(socket)?;
    Some(drops)
}

/// `getsockopt(2)`, `SO_MEMINFO` — how many bytes of the socket's buffer are full of what was sent
/// and not read yet, and how many it has; with a full one nothing can be sent to anybody. `None`
/// where the kernel does not say.
pub(crate) fn unread(socket: impl AsFd) -> Option<(u32, u32)> {
    let [_, _, used, size, ..] = memory_of(socket)?;
    Some((used, size))
}

fn memory_of(socket: impl AsFd) -> Option<[u32; MEMORY_FIGURES]> {
    let mut figures = [0_u32; MEMORY_FIGURES];
    let mut len = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed), the kernel writes at most `len` bytes of the array
    // and says how many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (result == 0 && len as usize >= size_of_val(&figures)).then_some(figures)
}

/// `setsockopt(2)`, `SO_SNDBUFFORCE` or `SO_SNDBUF` — a send buffer of so many bytes, or the
/// largest one that this process may have (`net.core.wmem_max`). The kernel doubles it.
pub(crate) fn widen_send_buffer(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    use rustix::net::sockopt;
    let socket = socket.as_fd();
    sockopt::set_socket_send_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_send_buffer_size(socket, bytes))?;
    Ok(())
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// The address of its sender and its bytes, as they stand in a record, and how many of these
    /// are the address.
    Datagram { record: &'a [u8], address_bytes: usize },
    /// It is longer than [`DATAGRAM_MAX_BYTES`].
    TooLong,
    /// Its sender has an address that is none.
    Nobody,
}

/// Room for the datagrams of one call. It takes the memory that the datagrams need.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// What of `bytes` is the record of each; `None`: longer than a datagram may be.
    filled: Vec<Result<(usize, usize, usize), Received<'static>>>,
    dropped: Option<u32>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH * PLACE], filled: Vec::new(), dropped: None }
    }

    /// `recvmmsg(2)` — receives at most `most` datagrams without blocking; tells how many. The
    /// kernel is asked for nothing besides them at a unix socket: whoever can send there could send
    /// descriptors along, which this process would have from then on.
    pub(crate) fn receive(
        &mut self,
        socket: impl AsFd,
        family: Family,
        most: usize,
    ) -> io::Result<usize> {
        self.filled.clear();
        self.dropped = None;
        let mut names = [MaybeUninit::<libc::sockaddr_storage>::zeroed(); BATCH];
        let mut control = [[0_u64; CONTROL_WORDS]; BATCH];
        let mut spaces = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut heads = [MaybeUninit::<libc::mmsghdr>::zeroed(); BATCH];
        let places = self.bytes.chunks_exact_mut(PLACE);
        let all = places.zip(&mut spaces).zip(&mut heads).zip(&mut names).zip(&mut control);
        let mut count = 0;
        for ((((place, space), head), name), control) in all.take(most) {
            let place = place.get_mut(FRONT..).unwrap_or_default();
            space.iov_base = place.as_mut_ptr().cast();
            space.iov_len = DATAGRAM_MAX_BYTES + 1;
            // SAFETY: a header of zeros is one without name, space and control data.
            let head = &mut unsafe { head.assume_init_mut() }.msg_hdr;
            head.msg_name = name.as_mut_ptr().cast();
            head.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            head.msg_iov = space;
            head.msg_iovlen = 1;
            if family != Family::Unix {
                head.msg_control = control.as_mut_ptr().cast();
                head.msg_controllen = size_of_val(control);
            }
            count += 1;
        }
        // SAFETY: the descriptor is open (borrowed); the first `count` headers point to spaces,
        // names and control data of this function or of `self`, which outlive the call, with their
        // lengths. The system call itself: the C library's is a cancellation point.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                socket.as_fd().as_raw_fd(),
                heads.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut::<libc::timespec>(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (index, (head, name)) in heads.iter().zip(&names).take(received).enumerate() {
            // SAFETY: they were made of zeros; the kernel wrote plain data into them.
            let (head, name) = unsafe { (head.assume_init_ref(), name.assume_init_ref()) };
            self.take(index, head, name);
        }
        if let Some(head) = received.checked_sub(1).and_then(|last| heads.get(last)) {
            // SAFETY: as above; its control data is still there.
            self.dropped = unsafe { drops_told(&head.assume_init_ref().msg_hdr) };
        }
        Ok(received)
    }

    /// Puts the address of the sender in front of a datagram.
    fn take(&mut self, index: usize, head: &libc::mmsghdr, name: &libc::sockaddr_storage) {
        let len = head.msg_len as usize;
        if len > DATAGRAM_MAX_BYTES || head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return self.filled.push(Err(Received::TooLong));
        }
        let Some(block) = peer_of(name, head.msg_hdr.msg_namelen as usize) else {
            return self.filled.push(Err(Received::Nobody));
        };
        let address = block.as_bytes();
        let data = index * PLACE + FRONT;
        let first = data - address.len();
        if let Some(front) = self.bytes.get_mut(first..data) {
            front.copy_from_slice(address);
        }
        self.filled.push(Ok((first, data + len, address.len())));
    }

    /// A datagram of the last call.
    pub(crate) fn get(&self, index: usize) -> Option<Received<'_>> {
        Some(match *self.filled.get(index)? {
            Ok((first, end, address_bytes)) => {
                Received::Datagram { record: self.bytes.get(first..end)?, address_bytes }
            }
            Err(why) => why,
        })
    }

    /// How many datagrams the kernel had dropped at the socket when it queued the last of these;
    /// `None`: none, or it did not say.
    pub(crate) const fn dropped(&self) -> Option<u32> {
        self.dropped
    }
}

/// What `SO_RXQ_OVFL` says.
///
/// # Safety
///
/// The header's control data must be there, as the kernel left it.
unsafe fn drops_told(head: &libc::msghdr) -> Option<u32> {
    // SAFETY: the macros stay within the control data, whose length the kernel wrote (the caller's
    // promise); the payload of this kind is an integer.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(head);
        if control.is_null() {
            return None;
        }
        let is_drops =
            (*control).cmsg_level == libc::SOL_SOCKET && (*control).cmsg_type == libc::SO_RXQ_OVFL;
        is_drops.then(|| libc::CMSG_DATA(control).cast::<u32>().read_unaligned())
    }
}

/// The address that the kernel wrote. `None`: of a kind that no port of ours has.
fn peer_of(name: &libc::sockaddr_storage, len: usize) -> Option<PeerBlock> {
    let address = match libc::c_int::from(name.ss_family) {
        // A unix socket without a name may have no address at all.
        _ if len < size_of::<libc::sa_family_t>() => PeerAddress::Unnamed,
        libc::AF_INET if len >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the storage is larger than every address, and plain data.
            let inet = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = std::net::Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes());
            PeerAddress::Inet(SocketAddrV4::new(ip, u16::from_be(inet.sin_port)).into())
        }
        libc::AF_INET6 if len >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let inet = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
            let port = u16::from_be(inet.sin6_port);
            PeerAddress::Inet(SocketAddrV6::new(ip, port, 0, inet.sin6_scope_id).into())
        }
        libc::AF_UNIX => {
            let len = len.min(size_of::<libc::sockaddr_un>());
            // SAFETY: as above; `len` bytes lie within the storage.
            let bytes = unsafe { std::slice::from_raw_parts((&raw const *name).cast::<u8>(), len) };
            match bytes.get(size_of::<libc::sa_family_t>()..).unwrap_or_default() {
                [] => PeerAddress::Unnamed,
                [0, name @ ..] => PeerAddress::Abstract(name),
                path => PeerAddress::Path(path.split(|byte| *byte == 0).next()?),
            }
        }
        _ => return None,
    };
    PeerBlock::new(address)
}

/// An address to send to, in the kernel's form.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    name: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({:?})", peer_of(&self.name, self.len as usize))
    }
}

impl Target {
    /// The form that a socket of this family takes. `None`: it cannot send there.
    pub(crate) fn new(peer: &PeerBlock, family: Family) -> Option<Self> {
        match (family, peer.address()?) {
            (Family::V4, PeerAddress::Inet(SocketAddr::V4(address))) => Some(Self::v4(address)),
            (Family::V6, PeerAddress::Inet(address)) => {
                let (ip, scope) = match address {
                    SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), 0),
                    SocketAddr::V6(address) => (*address.ip(), address.scope_id()),
                };
                Some(Self::v6(SocketAddrV6::new(ip, address.port(), 0, scope)))
            }
            (Family::Unix, PeerAddress::Path(path)) => Some(Self::unix(path, 0)),
            (Family::Unix, PeerAddress::Abstract(name)) => Some(Self::unix(name, 1)),
            _ => None,
        }
    }

    fn empty() -> Self {
        // SAFETY: an address of zeros is one of no family, plain data.
        Self { name: unsafe { std::mem::zeroed() }, len: 0 }
    }

    fn v4(address: SocketAddrV4) -> Self {
        let mut target = Self::empty();
        // SAFETY: the storage is larger than every address, and plain data.
        let inet = unsafe { &mut *(&raw mut target.name).cast::<libc::sockaddr_in>() };
        inet.sin_family = libc::AF_INET as libc::sa_family_t;
        inet.sin_port = address.port().to_be();
        inet.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
        target.len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        target
    }

    fn v6(address: SocketAddrV6) -> Self {
        let mut target = Self::empty();
        // SAFETY: as above.
        let inet = unsafe { &mut *(&raw mut target.name).cast::<libc::sockaddr_in6>() };
        inet.sin6_family = libc::AF_INET6 as libc::sa_family_t;
        inet.sin6_port = address.port().to_be();
        inet.sin6_addr.s6_addr = address.ip().octets();
        inet.sin6_scope_id = address.scope_id();
        target.len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        target
    }

    fn unix(name: &[u8], at: usize) -> Self {
        let mut target = Self::empty();
        // SAFETY: as above.
        let unix = unsafe { &mut *(&raw mut target.name).cast::<libc::sockaddr_un>() };
        unix.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in unix.sun_path.iter_mut().skip(at).zip(name) {
            *to = libc::c_char::from_ne_bytes([*from]);
        }
        target.len = (size_of::<libc::sa_family_t>() + at + name.len()) as libc::socklen_t;
        target
    }
}

/// `sendmmsg(2)` — sends datagrams without blocking, at most [`BATCH`] of them; tells how many of
/// the first were taken. An error is of the first one.
pub(crate) fn send<'a>(
    socket: impl AsFd,
    datagrams: impl Iterator<Item = (&'a Target, &'a [u8])>,
) -> io::Result<usize> {
    let mut spaces = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut heads = [MaybeUninit::<libc::mmsghdr>::zeroed(); BATCH];
    let mut count = 0;
    for ((space, head), (target, bytes)) in spaces.iter_mut().zip(&mut heads).zip(datagrams) {
        space.iov_base = bytes.as_ptr().cast_mut().cast();
        space.iov_len = bytes.len();
        // SAFETY: a header of zeros is one without name, space and control data.
        let head = &mut unsafe { head.assume_init_mut() }.msg_hdr;
        head.msg_name = (&raw const target.name).cast_mut().cast();
        head.msg_namelen = target.len;
        head.msg_iov = space;
        head.msg_iovlen = 1;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open (borrowed); the first `count` headers point to names and bytes
    // that are borrowed for 'a, which the kernel only reads, and to spaces of this function.
    let sent =
        unsafe { libc::syscall(libc::SYS_sendmmsg, descriptor, heads.as_mut_ptr(), count, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Why the kernel refused a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing can be sent now. Of a unix socket: its peer does not read.
    WouldBlock,
    /// It is longer than the path or the kernel takes.
    TooLong,
    /// The kernel has no memory for it.
    NoBuffers,
    /// There is no way to its peer, or nobody there.
    Unreachable,
    Other,
}

impl Refusal {
    /// What an error of [`send`] means.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Self::WouldBlock,
            Some(libc::EMSGSIZE) => Self::TooLong,
            Some(libc::ENOBUFS | libc::ENOMEM) => Self::NoBuffers,
            Some(
                libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ECONNREFUSED
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::ENOENT,
            ) => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests;

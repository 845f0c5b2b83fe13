//! Control sockets: pairs of local sockets that keep message boundaries and carry descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::process::ProcessId;
use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Most descriptors in one message: the kernel's `SCM_MAX_FD`.
pub(crate) const DESCRIPTORS_MAX: usize = 253;

const CONTROL_SPACE: usize = cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// `socketpair(2)`, `AF_UNIX`, `SOCK_SEQPACKET` — makes two connected ends, nonblocking and closed
/// on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// `getsockopt(2)`, `SO_PEERCRED` — who made the pair of which this is an end; an error when it is
/// none.
pub(crate) fn maker(socket: BorrowedFd<'_>) -> io::Result<ProcessId> {
    if rustix::net::sockopt::socket_domain(socket)? != AddressFamily::UNIX
        || rustix::net::sockopt::socket_type(socket)? != SocketType::SEQPACKET
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    ProcessId::new(credentials.pid.as_raw_pid()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// `shutdown(2)` — the other end can send nothing from now on. What it has sent can be received.
pub(crate) fn hear_no_more(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Read)?)
}

/// `sendmsg(2)`, `SCM_RIGHTS` — sends one whole message with descriptors, or nothing
/// (`WouldBlock`).
///
/// The descriptors stay open here. More than [`DESCRIPTORS_MAX`] are refused.
pub(crate) fn send(
    socket: impl AsFd,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, flags)?;
    // A packet socket takes a message whole or not at all.
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// `sendmsg(2)` — the same in two pieces, without descriptors.
pub(crate) fn send_pieces(socket: impl AsFd, head: &[u8], body: &[u8]) -> io::Result<()> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let pieces = [IoSlice::new(head), IoSlice::new(body)];
    let mut none = SendAncillaryBuffer::default();
    let sent = rustix::net::sendmsg(socket, &pieces, &mut none, flags)?;
    if sent == head.len() + body.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// The descriptors that came with a message, which are open here now.
fn taken(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let rights = control.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    rights.flatten().collect()
}

/// `recvmsg(2)` — takes one message and its descriptors, which are closed on exec; `WouldBlock`
/// when none waits.
///
/// Tells the length, 0 at the end of file. A message longer than `buffer` is an error and is gone.
/// One with more descriptors than the process may open comes without any, never with some of them:
/// what it says is true all the same, and whoever needs its descriptors sees that they are missing.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = taken(&mut control);
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "control message was cut"));
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        descriptors.clear();
    }
    Ok((message.bytes, descriptors))
}

/// `recv(2)` — takes one message from a peer that is not trusted; `WouldBlock` when none waits.
///
/// There is no room for descriptors, so the kernel closes any that the peer attached. Tells the
/// true length, which is more than that of `buffer` when the message was cut; 0 at the end of file,
/// and also for an empty message.
pub(crate) fn receive_without_descriptors(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let (_, length) = rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    Ok(length)
}

/// The descriptor of a message that is to have exactly one.
#[derive(Debug)]
pub(crate) enum OneDescriptor {
    /// It is open here now.
    Came(OwnedFd),
    /// It came, and this process may open no more.
    NoPlace,
    /// The message had none, or more.
    Wrong,
}

/// `recvmsg(2)` — takes one message with one descriptor from a peer that is not trusted, closed on
/// exec; `WouldBlock` when none waits.
///
/// Tells the length, which is more than that of `buffer` when the message was cut, and 0 at the end
/// of file. Of more descriptors than one none stays open.
pub(crate) fn receive_one(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<(usize, OneDescriptor)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
    let message =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = taken(&mut control);
    let was_cut = message.flags.contains(ReturnFlags::CTRUNC);
    let descriptor = match (descriptors.pop(), descriptors.is_empty(), was_cut) {
        (Some(descriptor), true, false) => OneDescriptor::Came(descriptor),
        (None, _, true) => OneDescriptor::NoPlace,
        _ => OneDescriptor::Wrong,
    };
    Ok((message.bytes, descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{eventfd, limit, process};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn messages_keep_their_boundaries_and_descriptors() {
        let (near, far) = pair().unwrap();
        let bells: Vec<_> = (0..5).map(|_| eventfd::create().unwrap()).collect();
        let borrowed: Vec<_> = bells.iter().map(AsFd::as_fd).collect();
        send(&near, b"first", &borrowed).unwrap();
        send(&near, b"second", &[]).unwrap();
        let mut buffer = [0; 32];
        let (length, received) = receive(&far, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], received.len()), (&b"first"[..], 5));
        eventfd::ring(&received[4]).unwrap();
        assert_eq!(eventfd::drain(&bells[4]).unwrap(), 1);
        let (length, received) = receive(&far, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], received.len()), (&b"second"[..], 0));
        let empty = receive(&far, &mut buffer).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        drop(near);
        assert_eq!(receive(&far, &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let (near, far) = pair().unwrap();
        send(&near, &[7; 64], &[]).unwrap();
        assert_eq!(receive(&far, &mut [0; 32]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        send(&near, &[7; 64], &[]).unwrap();
        assert_eq!(receive_without_descriptors(&far, &mut [0; 32]).unwrap(), 64);
    }

    #[test]
    fn of_a_message_that_is_to_have_one_descriptor_all_others_are_closed() {
        process::in_forked_test(|| {
            let (near, far) = pair().unwrap();
            let bell = eventfd::create().unwrap();
            let mut buffer = [0; 8];
            let before = process::open_descriptors().unwrap();
            for count in [0, 1, 2, 3, DESCRIPTORS_MAX] {
                send(&near, b"files", &vec![bell.as_fd(); count]).unwrap();
                let (length, one) = receive_one(&far, &mut buffer).unwrap();
                assert_eq!(length, 5);
                match one {
                    OneDescriptor::Came(came) => {
                        eventfd::ring(&came).unwrap();
                        assert_eq!((count, eventfd::drain(&bell).unwrap()), (1, 1));
                    }
                    OneDescriptor::Wrong => assert_ne!(count, 1),
                    OneDescriptor::NoPlace => panic!("{count}: there is room"),
                }
                assert_eq!(process::open_descriptors().unwrap(), before, "{count}");
            }
            send(&near, &[7; 64], &[bell.as_fd()]).unwrap();
            assert_eq!(receive_one(&far, &mut buffer).unwrap().0, 64);
            limit::set_soft_descriptors(0);
            send(&near, b"files", &[bell.as_fd()]).unwrap();
            let (_, one) = receive_one(&far, &mut buffer).unwrap();
            assert!(matches!(one, OneDescriptor::NoPlace), "{one:?}");
            drop(near);
            assert_eq!(receive_one(&far, &mut buffer).unwrap().0, 0);
        });
    }

    #[test]
    fn a_message_whose_descriptors_cannot_be_opened_comes_without_any() {
        process::in_forked_test(|| {
            let (near, far) = pair().unwrap();
            let highest = process::open_descriptors().unwrap().pop().unwrap();
            // Every number below is taken first, so that there is room for exactly one.
            let mut fill = Vec::new();
            while fill.last().is_none_or(|last: &OwnedFd| last.as_raw_fd() <= highest) {
                fill.push(eventfd::create().unwrap());
            }
            let last = fill.pop().unwrap().as_raw_fd();
            limit::set_soft_descriptors(u64::try_from(last).unwrap() + 1);
            let before = process::open_descriptors().unwrap();
            send(&near, b"three", &[near.as_fd(); 3]).unwrap();
            let mut buffer = [0; 8];
            let (length, received) = receive(&far, &mut buffer).unwrap();
            assert_eq!((&buffer[..length], received.len()), (&b"three"[..], 0));
            assert_eq!(process::open_descriptors().unwrap(), before, "nothing stays open");
            send(&near, b"one", &[near.as_fd()]).unwrap();
            assert_eq!(receive(&far, &mut buffer).unwrap().1.len(), 1);
        });
    }

    #[test]
    fn too_many_descriptors_are_refused() {
        let (near, _far) = pair().unwrap();
        let many = vec![near.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(send(&near, b"x", &many).is_err());
    }

    #[test]
    fn the_most_descriptors_arrive_and_unwanted_ones_are_closed() {
        process::in_forked_test(|| {
            let (near, far) = pair().unwrap();
            let before = process::open_descriptors().unwrap();
            let many = vec![near.as_fd(); DESCRIPTORS_MAX];
            send(&near, b"x", &many).unwrap();
            let (_, received) = receive(&far, &mut [0; 8]).unwrap();
            assert_eq!(received.len(), DESCRIPTORS_MAX);
            drop(received);
            send(&near, b"x", &many).unwrap();
            assert_eq!(receive_without_descriptors(&far, &mut [0; 8]).unwrap(), 1);
            assert_eq!(process::open_descriptors().unwrap(), before);
        });
    }
}

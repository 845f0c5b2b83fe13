//! Activate: starts a program with descriptors, as systemd does for a socket unit. For the process
//! tests.
//!
//! ```text
//! activate NAMES DESCRIPTORS PROGRAM ARGUMENT...
//! ```
//!
//! DESCRIPTORS has a letter for each: `l` a TCP listener, `u` a unix one at the path
//! `ACTIVATE_PATH`, `a` an abstract one of that name, `s` what is sent to that path, `c` a TCP
//! socket that does not listen, `d` one for datagrams, `p` none at all but a pipe, `-` a number
//! that is not open.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

fn path() -> String {
    std::env::var("ACTIVATE_PATH").unwrap_or_default()
}

/// The descriptor of this letter; none stays closed.
fn descriptor(letter: char) -> io::Result<Option<OwnedFd>> {
    let tcp = || TcpListener::bind("127.0.0.1:0");
    Ok(Some(match letter {
        'l' => tcp()?.into(),
        'u' => UnixListener::bind(path())?.into(),
        'a' => UnixListener::bind_addr(&SocketAddr::from_abstract_name(path())?)?.into(),
        's' => sent()?,
        'c' => TcpStream::connect(tcp()?.local_addr()?)?.into(),
        'd' => UdpSocket::bind("127.0.0.1:0")?.into(),
        'p' => std::io::pipe()?.0.into(),
        '-' => return Ok(None),
        _ => return Err(io::Error::other(format!("no descriptor is called {letter}"))),
    }))
}

/// A descriptor that somebody else holds, too.
fn sent() -> io::Result<OwnedFd> {
    let stream = UnixStream::connect(path())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    recvmsg(&stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            return descriptors.next().ok_or_else(|| io::Error::other("none was sent"));
        }
    }
    Err(io::Error::other("no descriptor was sent"))
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let names = arguments.next().unwrap_or_default();
    let letters = arguments.next().unwrap_or_default();
    let descriptors = letters.chars().map(descriptor).collect::<io::Result<Vec<_>>>()?;
    // Out of the way first, so that no number is overwritten before it is read.
    let mut moved = Vec::new();
    for descriptor in &descriptors {
        let away = |descriptor| rustix::io::fcntl_dupfd_cloexec(descriptor, 64);
        moved.push(descriptor.as_ref().map(away).transpose()?);
    }
    drop(descriptors);
    for (number, descriptor) in (3..).zip(moved) {
        let Some(descriptor) = descriptor else { continue };
        // SAFETY: dup2 changes the table of this process only, in which nothing else uses these
        // numbers any more: it does nothing but exec from here on.
        if unsafe { libc::dup2(descriptor.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let _kept_until_exec = descriptor.into_raw_fd();
    }
    let program = arguments.next().unwrap_or_default();
    let mut command = Command::new(program);
    command.args(arguments).env("LISTEN_PID", std::process::id().to_string());
    Err(command.env("LISTEN_FDS", letters.len().to_string()).env("LISTEN_FDNAMES", names).exec())
}

//! An environment that lies: a program that is no worker says so, and starts nothing.

use std::os::fd::AsFd as _;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use ostler_shm::layout::PROTOCOL;
use ostler_testkit::{TestResult, TestServer};
use rustix::io::FdFlags;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::support::check;

const VARIABLE: &str = "OSTLER_INHERITANCE";

/// A program that was told so refuses with this reason.
fn is_refused(value: &str, reason: &str) -> TestResult {
    let (code, text) = TestServer::echo().env(VARIABLE, value).start_expecting_failure()?;
    check(code == 4 && text.contains(reason), format!("{value}: {code} {text}, not {reason}"))
}

#[test]
fn a_variable_that_names_nothing_is_an_error_that_says_so() -> TestResult {
    is_refused("", "no number of a descriptor")?;
    is_refused("one", "no number of a descriptor")?;
    is_refused("-1", "no number of a descriptor")?;
    is_refused("2", "no number of a descriptor")?;
    is_refused("99999999999", "no number of a descriptor")?;
    is_refused("777", "no such descriptor was passed")?;
    // What to do is said, too.
    is_refused("777", "unset it to start a server")
}

/// Passes a descriptor to the programs that this test starts.
fn pass(descriptor: &OwnedFd) -> TestResult<String> {
    rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    Ok(descriptor.as_raw_fd().to_string())
}

fn pair() -> TestResult<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

#[test]
fn a_descriptor_that_is_no_control_socket_is_refused() -> TestResult {
    let (reader, _writer) = std::io::pipe()?;
    let reader = OwnedFd::from(reader);
    is_refused(&pass(&reader)?, "no control socket")?;
    let listener = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0")?);
    is_refused(&pass(&listener)?, "no control socket")?;
    // The other end is of this test, which does not speak.
    let (near, far) = pair()?;
    let number = pass(&far)?;
    drop(near);
    is_refused(&number, "its manager is gone")
}

/// The first message, as a manager of these versions says it.
fn bequest(protocol: u32, lanes: u32, ends: u16) -> [u8; 128] {
    let mut bytes = vec![0xB7];
    bytes.extend(protocol.to_ne_bytes());
    bytes.extend(lanes.to_ne_bytes());
    // An event worker, slot 0, generation 1; the number of the manager, the seat, ends, no log.
    bytes.extend([0, 0, 0, 1, 0, 0, 0]);
    bytes.extend(std::process::id().to_ne_bytes());
    bytes.extend([0, 0]);
    bytes.extend(ends.to_ne_bytes());
    bytes.resize(128, 0);
    bytes.try_into().unwrap_or([0; 128])
}

/// What a program does with these messages: it refuses, here and to its manager.
fn says(messages: &[(&[u8], &[BorrowedFd<'_>])], reason: &str) -> TestResult {
    let (near, far) = pair()?;
    for (bytes, descriptors) in messages {
        let mut space = [std::mem::MaybeUninit::uninit(); 256];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let bytes = [std::io::IoSlice::new(bytes)];
        rustix::net::sendmsg(&near, &bytes, &mut control, SendFlags::empty())?;
    }
    is_refused(&pass(&far)?, reason)?;
    let mut word = [0; 256];
    let count = rustix::io::read(&near, &mut word)?;
    let text = String::from_utf8_lossy(word.get(..count).unwrap_or(&word)).into_owned();
    let told = text.get(..).is_some_and(|text| text.contains("cannot be a worker of its server"));
    check(told, format!("the manager is told {text:?}"))
}

#[test]
fn a_manager_of_another_version_is_told_from_one_that_talks_nonsense() -> TestResult {
    let lanes = u32::try_from(PROTOCOL).unwrap_or(0);
    says(&[(b"hello", &[])], "is not understood")?;
    says(&[(&bequest(3, lanes, 0), &[])], "hands over by protocol 3, this program by 2")?;
    says(&[(&bequest(2, 999, 0), &[])], "speaks lane protocol 999")?;
    says(&[(&bequest(2, lanes, 0), &[]), (&[0; 128], &[])], "descriptors are missing")?;
    let (reader, _writer) = std::io::pipe()?;
    let six = [reader.as_fd(); 6];
    let good = bequest(2, lanes, 0);
    says(&[(&good, &six), (&[0; 128], &[])], "its charter cannot be read: it is no sealed file")
}

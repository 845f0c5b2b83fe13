//! The limit for long messages: a loop around `send` on a blocking socket, one client at a time.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::load::{PERIOD, periodic};
use crate::{Error, Result};

/// Bytes of one `send`.
const PIECE_BYTES: usize = 256 * 1024;

/// Answers whatever comes with a message of so many bytes, until the process is killed; returns
/// only on failure.
pub(super) fn serve(listener: TcpListener, message_bytes: usize) -> Result<Infallible> {
    listener.set_nonblocking(false).map_err(Error::system("set blocking"))?;
    let bytes = periodic(PIECE_BYTES + PERIOD);
    loop {
        let (socket, _) = listener.accept().map_err(Error::system("accept"))?;
        // How a client ends is its own affair.
        _ = answer(socket, &bytes, message_bytes);
    }
}

fn answer(mut socket: TcpStream, bytes: &[u8], message_bytes: usize) -> std::io::Result<()> {
    let mut request = [0; 4096];
    while socket.read(&mut request)? > 0 {
        let mut sent = 0;
        while sent < message_bytes {
            let piece = bytes.get(sent % PERIOD..).unwrap_or_default();
            let piece = piece.get(..PIECE_BYTES.min(message_bytes - sent)).unwrap_or_default();
            sent += socket.write(piece)?;
        }
    }
    Ok(())
}

//! The limit for files: a loop around `sendfile` on a blocking socket, one client at a time.

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::load::{PERIOD, periodic};
use crate::{Error, Result};

/// Bytes of one `sendfile`, as many as Ostler sends at once. (With the whole file the rate is the
/// same.)
const PIECE_BYTES: usize = 256 * 1024;

/// Answers whatever comes with a file of so many bytes, until the process is killed; returns only
/// on failure.
pub(super) fn serve(listener: TcpListener, message_bytes: usize) -> Result<Infallible> {
    listener.set_nonblocking(false).map_err(Error::system("set blocking"))?;
    let file = make_file(message_bytes).map_err(Error::system("make a file"))?;
    loop {
        let (socket, _) = listener.accept().map_err(Error::system("accept"))?;
        // How a client ends is its own affair.
        _ = answer(&socket, &file, message_bytes);
    }
}

/// A file without a name.
fn make_file(len: usize) -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("ostler-bench-sent-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let piece = periodic(PERIOD * 1024);
    let mut left = len;
    while left > 0 {
        let some = piece.get(..left).unwrap_or(&piece);
        file.write_all(some)?;
        left -= some.len();
    }
    Ok(file)
}

fn answer(mut socket: &TcpStream, file: &File, message_bytes: usize) -> std::io::Result<()> {
    let mut request = [0; 4096];
    while socket.read(&mut request)? > 0 {
        let mut offset = 0;
        while offset < message_bytes as u64 {
            let piece = PIECE_BYTES.min(message_bytes - offset as usize);
            rustix::fs::sendfile(socket, file, Some(&mut offset), piece)?;
        }
    }
    Ok(())
}

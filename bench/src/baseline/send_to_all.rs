//! The limit for broadcasts: what one client sends is sent to each of them in a loop.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::{Error, Result};

/// Says hello to so many clients, then sends whatever the first of them sends to all; returns only
/// on failure.
pub(super) fn serve(listener: TcpListener, listeners: usize) -> Result<Infallible> {
    listener.set_nonblocking(false).map_err(Error::system("set blocking"))?;
    let mut sockets = Vec::new();
    while sockets.len() < listeners {
        let (mut socket, _) = listener.accept().map_err(Error::system("accept"))?;
        socket.set_nodelay(true).map_err(Error::system("TCP_NODELAY"))?;
        socket.write_all(b"!").map_err(Error::system("send"))?;
        sockets.push(socket);
    }
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match sockets.first().map(|mut speaker: &TcpStream| speaker.read(&mut bytes)) {
            Some(Ok(len)) if len > 0 => {
                let message = bytes.get(..len).unwrap_or_default();
                for mut socket in &sockets {
                    socket.write_all(message).map_err(Error::system("send"))?;
                }
            }
            // Clients that end are the end of the measurement.
            _ => std::thread::park(),
        }
    }
}

//! What an ordinary Rust server costs: tokio, current_thread, one task per connection, `read` then
//! `write_all`.

use std::convert::Infallible;
use std::net::TcpListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::BUFFER_BYTES;
use crate::{Error, Result};

pub(super) fn serve(listener: TcpListener) -> Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(Error::system("build the tokio runtime"))?;
    runtime.block_on(async {
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(Error::system("tokio listener"))?;
        loop {
            let (socket, _) = listener.accept().await.map_err(Error::system("accept"))?;
            socket.set_nodelay(true).map_err(Error::system("TCP_NODELAY"))?;
            // Detached on purpose: an echo task ends with its connection, an error is the client's
            // to notice.
            drop(tokio::spawn(echo(socket)));
        }
    })
}

async fn echo(mut socket: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    loop {
        let received = socket.read(&mut buffer).await?;
        if received == 0 {
            return Ok(());
        }
        socket.write_all(buffer.get(..received).unwrap_or_default()).await?;
    }
}

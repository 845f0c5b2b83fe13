//! The client's side of TLS on one socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::identity::SERVER_NAME;
use crate::{Error, Result};

/// What a client needs to believe servers with this certificate, and no others.
pub(super) fn trust(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let wrong = |reason: String| {
        Error::usage(format!("the certificate {}: {reason}", certificate.display()))
    };
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate);
    let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A socket and the TLS on it.
#[derive(Debug)]
pub(super) struct Tls {
    socket: TcpStream,
    session: ClientConnection,
}

/// What the load generator makes of errors: those of the socket, and one for all of TLS.
fn errno_of(error: &io::Error) -> Errno {
    match error.kind() {
        ErrorKind::WouldBlock => Errno::AGAIN,
        _ => error.raw_os_error().map_or(Errno::PROTO, Errno::from_raw_os_error),
    }
}

impl Tls {
    pub(super) fn new(
        socket: OwnedFd,
        trust: &Arc<ClientConfig>,
    ) -> std::result::Result<Self, Errno> {
        let name = ServerName::try_from(SERVER_NAME).map_err(|_| Errno::INVAL)?;
        let session = ClientConnection::new(Arc::clone(trust), name).map_err(|_| Errno::PROTO)?;
        Ok(Self { socket: socket.into(), session })
    }

    pub(super) fn send(
        &mut self,
        first: &[u8],
        second: &[u8],
    ) -> std::result::Result<usize, Errno> {
        let mut taken = 0;
        for part in [first, second] {
            let some = self.session.writer().write(part).map_err(|error| errno_of(&error))?;
            taken += some;
            if some < part.len() {
                break;
            }
        }
        self.flush()?;
        if taken == 0 { Err(Errno::AGAIN) } else { Ok(taken) }
    }

    pub(super) fn flush(&mut self) -> std::result::Result<bool, Errno> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(errno_of(&error)),
            }
        }
        Ok(false)
    }

    /// What has been decrypted; reads from the socket only when that is nothing.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> std::result::Result<usize, Errno> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // An end without a goodbye counts as one, as it does without TLS.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(errno_of(&error)),
                Ok(received) => return Ok(received),
            }
            match self.session.read_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(errno_of(&error)),
            }
            self.session.process_new_packets().map_err(|_| Errno::PROTO)?;
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        // A socket that is full, or gone: the read will show it.
        _ = self.flush();
    }
}

impl AsFd for Tls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! The limit for TLS: one thread with `epoll` and rustls. rustls itself would read four KiB at a
//! time; here one `recv` takes what a read of the other baselines takes.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;

use super::BUFFER_BYTES;
use crate::identity::Identity;
use crate::{Error, Result};

const LISTENER: u64 = u64::MAX;
const EVENTS_PER_TURN: usize = 256;

struct Client {
    socket: TcpStream,
    session: ServerConnection,
    /// What was decrypted and not yet given to be encrypted.
    pending: Vec<u8>,
    wants_write: bool,
}

/// Room for one read, and for what comes out of it.
struct Buffers {
    encrypted: Vec<u8>,
    plain: Vec<u8>,
}

/// Serves until the process is killed; returns only on failure.
pub(super) fn serve(listener: TcpListener, identity: &Identity) -> Result<Infallible> {
    let config = configure(&identity.certificate, &identity.key)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(Error::system("epoll_create"))?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
        .map_err(Error::system("epoll_ctl listener"))?;
    let mut clients: Slab<Client> = Slab::new();
    let mut buffers = Buffers { encrypted: vec![0; BUFFER_BYTES], plain: vec![0; BUFFER_BYTES] };
    let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
    let mut events = [nothing; EVENTS_PER_TURN];
    loop {
        let ready = match epoll::wait(&epoll, &mut events, None) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(Error::system("epoll_wait")(errno)),
        };
        for event in events.iter().take(ready) {
            let token = event.data.u64();
            if token == LISTENER {
                let (socket, _) = listener.accept().map_err(Error::system("accept"))?;
                add(socket, &config, &epoll, &mut clients)?;
                continue;
            }
            let key = token as usize;
            let Some(client) = clients.get_mut(key) else { continue };
            if client.turn(&mut buffers).is_err() {
                drop(clients.try_remove(key));
                continue;
            }
            let wants_write = client.session.wants_write();
            if wants_write != client.wants_write {
                client.wants_write = wants_write;
                let flags = if wants_write { EventFlags::OUT } else { EventFlags::IN };
                epoll::modify(&epoll, &client.socket, EventData::new_u64(token), flags)
                    .map_err(Error::system("epoll_ctl client"))?;
            }
        }
    }
}

fn configure(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        Error::usage(format!("{}: {error}", path.display()))
    };
    let chain =
        CertificateDer::from_pem_file(certificate).map_err(|error| wrong(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(vec![chain], secret)
        .map_err(|error| wrong(key, &error))?;
    Ok(Arc::new(config))
}

fn add(
    socket: TcpStream,
    config: &Arc<ServerConfig>,
    epoll: &std::os::fd::OwnedFd,
    clients: &mut Slab<Client>,
) -> Result<()> {
    socket.set_nonblocking(true).map_err(Error::system("O_NONBLOCK"))?;
    socket.set_nodelay(true).map_err(Error::system("TCP_NODELAY"))?;
    let session = ServerConnection::new(Arc::clone(config))
        .map_err(|error| Error::usage(error.to_string()))?;
    let entry = clients.vacant_entry();
    epoll::add(epoll, &socket, EventData::new_u64(entry.key() as u64), EventFlags::IN)
        .map_err(Error::system("epoll_ctl client"))?;
    entry.insert(Client { socket, session, pending: Vec::new(), wants_write: false });
    Ok(())
}

impl Client {
    /// Reads once, echoes all of it, writes what goes. While something is to be written, nothing is
    /// read. An error ends the connection.
    fn turn(&mut self, buffers: &mut Buffers) -> std::io::Result<()> {
        if !self.wants_write {
            let received = match self.socket.read(&mut buffers.encrypted) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut rest = buffers.encrypted.get(..received).unwrap_or_default();
            while !rest.is_empty() {
                self.session.read_tls(&mut rest)?;
                self.session.process_new_packets().map_err(std::io::Error::other)?;
                self.echo(&mut buffers.plain)?;
            }
        }
        loop {
            while self.session.wants_write() {
                match self.session.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            let taken = self.session.writer().write(&self.pending)?;
            self.pending.drain(..taken);
        }
    }

    fn echo(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        loop {
            let received = match self.session.reader().read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..received).unwrap_or_default();
            let taken =
                if self.pending.is_empty() { self.session.writer().write(bytes)? } else { 0 };
            self.pending.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        }
    }
}

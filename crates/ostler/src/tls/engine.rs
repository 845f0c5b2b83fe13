//! One side of a TLS connection, without a socket: received bytes go in, what the client said and
//! what is to be sent come out.
//!
//! Nothing is buffered here, so that an idle connection holds nothing but its keys: what was
//! received lies with the caller until it is a whole record, and what is to be sent is appended to
//! the caller's buffer.

use std::fmt;
use std::sync::Arc;

use ostler_shm::tls_facts::TlsFacts;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{Error, HandshakeKind, ServerConfig};

use super::names;
use super::outgoing::Outgoing;

/// What a record costs besides its content, at most: header, explicit nonce, tag, type, and room
/// for a key update before it.
const RECORD_COST_BYTES: usize = 128;
/// Most bytes of content in a record, as the protocol says.
const RECORD_CONTENT_BYTES: usize = 16 * 1024;

/// What became of received bytes.
#[derive(Debug)]
pub(crate) struct Processed {
    /// So many of them are not needed any more.
    pub(crate) consumed: usize,
    /// How it ended.
    pub(crate) outcome: Result<Progress, Error>,
}

/// Why processing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More has to be received.
    Dry,
    /// Whoever takes the data has enough for now.
    Enough,
    /// The client has said that nothing more comes.
    End,
}

/// Input of a connection that is between two calls.
///
/// What is not decrypted must be there at every call, also when something is written: rustls keeps
/// places in it (of the part of a handshake message), and looks there whatever it is called for.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Received, and not decrypted.
    pub(crate) undecrypted: Vec<u8>,
    /// Decrypted, and not read.
    pub(crate) data: Vec<u8>,
}

impl Backlog {
    fn discard(&mut self, len: usize) {
        self.undecrypted.drain(..len.min(self.undecrypted.len()));
    }
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

/// The state of one connection: its handshake, then its keys.
pub(crate) struct Engine {
    connection: UnbufferedServerConnection,
    /// The name that the client has asked for, until the handshake is over.
    asked_name: Option<Box<str>>,
    /// The client has said that nothing more comes.
    is_ended: bool,
}

impl Engine {
    /// A connection of which nothing was received yet.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, asked_name: None, is_ended: false })
    }

    /// Whether the client has said that nothing more comes.
    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// For which name it was asked.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn asked(&self) -> Option<&str> {
        self.asked_name.as_deref()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the handshake took up an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What was agreed and what the client has shown, as the connect event tells it. To be asked
    /// once, when the handshake is over; `None`: it is more than can be told.
    pub(crate) fn shown(&mut self) -> Option<Vec<u8>> {
        let name = self.asked_name.take();
        let connection = &self.connection;
        let suite = connection.negotiated_cipher_suite();
        let certificates = connection.peer_certificates().unwrap_or_default();
        TlsFacts {
            version: connection.protocol_version().map_or(0, u16::from),
            cipher: suite.map_or(0, |suite| suite.suite().into()),
            is_resumed: self.is_resumed(),
            protocol: connection.alpn_protocol().unwrap_or_default(),
            server_name: name.as_deref().unwrap_or_default(),
            certificates: certificates.iter().map(|der| &**der).collect(),
        }
        .encode()
    }

    /// Processes what was received. `take` gets the client's data, piece by piece, and returns
    /// whether it wants more. After an error `out` has the alert that tells it to the client.
    pub(crate) fn process(
        &mut self,
        received: &mut [u8],
        out: &mut Outgoing,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Processed {
        let mut consumed = 0;
        let is_handshaking = self.is_handshaking();
        loop {
            let rest = received.get_mut(consumed..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let stop = match state {
                Err(error) => Some(Err(error)),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut wants_more = true;
                    let mut failed = None;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                wants_more &= take(record.payload);
                            }
                            Err(error) => failed = Some(Err(error)),
                        }
                    }
                    failed.or((!wants_more).then_some(Ok(Progress::Enough)))
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encoded(out, |space| data.encode(space)).err().map(Err)
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // It is in the caller's buffer, which is sent in order.
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.is_ended = true;
                    Some(Ok(Progress::End))
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    Some(Ok(if self.is_ended { Progress::End } else { Progress::Dry }))
                }
                Ok(_) => Some(Err(Error::General("early data was not asked for".to_owned()))),
            };
            consumed += discard;
            if is_handshaking && let Some(name) = names::take_asked() {
                self.asked_name = Some(name);
            }
            match stop {
                None => {}
                Some(Ok(progress)) => return Processed { consumed, outcome: Ok(progress) },
                Some(Err(error)) => {
                    let rest = received.get_mut(consumed..).unwrap_or_default();
                    self.take_alert(rest, out);
                    return Processed { consumed, outcome: Err(error) };
                }
            }
        }
    }

    /// Appends what was to be said before an error, and the alert. No call more than there is to
    /// say: one that finds nothing would fall over the same bytes and want to say so again.
    fn take_alert(&mut self, rest: &mut [u8], out: &mut Outgoing) {
        while self.connection.wants_write() {
            let state = self.connection.process_tls_records(rest).state;
            let Ok(ConnectionState::EncodeTlsData(mut message)) = state else { return };
            // What cannot be told changes nothing: the connection ends.
            if encoded(out, |space| message.encode(space)).is_err() {
                return;
            }
        }
    }

    /// Appends the records that carry `data`.
    pub(crate) fn seal(
        &mut self,
        data: &[u8],
        backlog: &mut Backlog,
        out: &mut Outgoing,
    ) -> Result<(), Error> {
        let records = data.len() / RECORD_CONTENT_BYTES + 1;
        let room = data.len() + records * RECORD_COST_BYTES;
        self.write(backlog, out, room, |traffic, space| traffic.encrypt(data, space))
    }

    /// Appends the alert that says that nothing more comes.
    pub(crate) fn close(&mut self, backlog: &mut Backlog, out: &mut Outgoing) -> Result<(), Error> {
        let room = RECORD_COST_BYTES;
        self.write(backlog, out, room, |traffic, space| traffic.queue_close_notify(space))
    }

    fn write(
        &mut self,
        backlog: &mut Backlog,
        out: &mut Outgoing,
        room: usize,
        mut encrypt: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Error> {
        loop {
            let Backlog { undecrypted, data } = backlog;
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(undecrypted);
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        data.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    encoded(out, |space| message.encode(space))?;
                }
                ConnectionState::TransmitTlsData(message) => message.done(),
                ConnectionState::PeerClosed => self.is_ended = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    encrypted(out, room, |space| encrypt(&mut traffic, space))?;
                    backlog.discard(discard);
                    return Ok(());
                }
                _ => return Err(Error::HandshakeNotComplete),
            }
            backlog.discard(discard);
        }
    }
}

/// Encrypts into as much room as it takes.
fn encrypted(
    out: &mut Outgoing,
    room: usize,
    mut encrypt: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let mut result = encrypt(out.space(room));
    if let Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) = result {
        result = encrypt(out.space(required_size));
    }
    out.filled(result.map_err(|error| Error::General(error.to_string()))?);
    Ok(())
}

/// Encodes into as much room as it takes.
fn encoded(
    out: &mut Outgoing,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Error> {
    let mut room = RECORD_COST_BYTES;
    // The second time it is told how much it takes.
    for _ in 0..2 {
        match encode(out.space(room)) {
            Ok(len) => {
                out.filled(len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                room = required_size;
            }
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
    Err(Error::General("a handshake message that grows".to_owned()))
}

/// Keys are not for logs.
impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

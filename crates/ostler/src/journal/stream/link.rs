//! A connection to a Redis that may hang, send without end, or be no Redis at all: every exchange
//! has a deadline and a longest reply.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use redis::{
    Cmd, ConnectionAddr, IntoConnectionInfo as _, Parser, RedisConnectionInfo, Value, cmd,
};

/// How much of what is wrong the log says.
const WORDS_MAX: usize = 200;
/// Bytes of a reply that says no more than that it was done.
const SHORT_BYTES: usize = 4 * 1024;
/// What is said of a reply that does not end.
pub(super) const TOO_LONG: &str = "its reply is longer than it may be";

/// Why something was not done, as the log says it.
pub(super) type Failure = String;

/// What was asked of a Redis, or why it was not done.
pub(super) type Done<T> = Result<T, Failure>;

/// Which Redis.
pub(super) struct Address {
    host: String,
    port: u16,
    settings: RedisConnectionInfo,
}

impl Address {
    /// Reads `redis://[[user]:password@]host[:port][/database]`.
    pub(super) fn read(url: &str) -> Done<Self> {
        let info = url.into_connection_info().map_err(|error| cut(error.to_string()))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err("it is redis://[[user]:password@]host[:port][/database]".to_owned());
        };
        let (host, port) = (host.clone(), *port);
        Ok(Self { host, port, settings: info.redis_settings().clone() })
    }

    /// Without the password.
    pub(super) fn words(&self) -> String {
        format!("redis://{}:{}/{}", self.host, self.port, self.settings.db())
    }
}

/// One connection. After any failure it is of no use.
pub(super) struct Link {
    stream: TcpStream,
    parser: Parser,
    limit: Duration,
}

impl Link {
    /// Connects, and says who this is. `limit`: of each exchange, also of later ones.
    pub(super) fn connect(address: &Address, limit: Duration) -> Done<Self> {
        let places = (address.host.as_str(), address.port).to_socket_addrs();
        let places = places.map_err(|error| format!("{}: {error}", address.host))?;
        let mut last = format!("{} has no address", address.host);
        for place in places.take(2) {
            match TcpStream::connect_timeout(&place, limit) {
                Ok(stream) => return Self::greet(stream, address, limit),
                Err(error) => last = format!("{place}: {error}"),
            }
        }
        Err(last)
    }

    fn greet(stream: TcpStream, address: &Address, limit: Duration) -> Done<Self> {
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut link = Self { stream, parser: Parser::new(), limit };
        let settings = &address.settings;
        let mut commands = Vec::new();
        if let Some(password) = settings.password() {
            let mut auth = cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            commands.push(auth.arg(password).clone());
        }
        commands.push(cmd("SELECT").arg(settings.db()).clone());
        for reply in link.ask(&commands, SHORT_BYTES)? {
            good(reply)?;
        }
        Ok(link)
    }

    /// Sends commands and receives the reply of each, of `reply_max` bytes in all.
    pub(super) fn ask(&mut self, commands: &[Cmd], reply_max: usize) -> Done<Vec<Value>> {
        let Self { stream, parser, limit } = self;
        let deadline = Instant::now() + *limit;
        let mut out = Vec::new();
        for command in commands {
            command.write_packed_command(&mut out);
        }
        write(stream, &out, deadline).map_err(|error| words(&error))?;
        let mut reader = Bounded { stream, deadline, left: reply_max, failed: None };
        let mut replies = Vec::new();
        for _ in commands {
            match parser.parse_value(&mut reader) {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    let nonsense = || cut(format!("it says what is no reply: {error}"));
                    return Err(reader.failed.take().unwrap_or_else(nonsense));
                }
            }
        }
        Ok(replies)
    }
}

/// A reply that is no error.
pub(super) fn good(reply: Value) -> Done<Value> {
    match reply {
        Value::ServerError(error) => Err(cut(format!("it says: {error:?}"))),
        reply => Ok(reply),
    }
}

fn cut(mut words: String) -> Failure {
    let end = (0..=WORDS_MAX.min(words.len())).rev().find(|at| words.is_char_boundary(*at));
    words.truncate(end.unwrap_or(0));
    words
}

fn words(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it does not answer in time".to_owned(),
        _ => error.to_string(),
    }
}

fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn write(mut stream: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left_until(deadline)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until a deadline, and so many bytes at most.
struct Bounded<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
    left: usize,
    /// Why it cannot be read on.
    failed: Option<Failure>,
}

impl Bounded<'_> {
    fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TOO_LONG));
        }
        self.stream.set_read_timeout(Some(left_until(self.deadline)?))?;
        let len = into.len().min(self.left);
        let mut stream = self.stream;
        let read = stream.read(into.get_mut(..len).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // What reads replies does not tell why it could not.
        self.read_some(into).inspect_err(|error| self.failed = Some(words(error)))
    }
}

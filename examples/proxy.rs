//! Proxy: asks another server for each line, by a few threads, so that a slow answer holds up no
//! other client. The master keeps the clients' connections, whatever becomes of this code.
//!
//! ```text
//! proxy HOST:PORT [--set NAME=VALUE]...     for example, with the chat or echo example running:
//! proxy 127.0.0.1:9501 --set listen=127.0.0.1:9502       then: nc 127.0.0.1 9502
//! ```

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ostler::{Deferred, Error, Exit, Framing, Handler, Outcome, Package, Server, Session, Worker};

/// Threads of each worker, and lines that may wait for one of them.
const THREADS: usize = 8;
const WAITING_MAX: usize = 1_024;
/// Longer than this no upstream may take.
const PATIENCE: Duration = Duration::from_secs(5);

struct Proxy {
    waiting: SyncSender<Deferred>,
}

impl Proxy {
    /// Made after the fork of the worker: here threads may be started.
    fn new(upstream: &Arc<str>) -> Self {
        let (waiting, queue) = sync_channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (queue, upstream) = (Arc::clone(&queue), Arc::clone(upstream));
            std::thread::spawn(move || while serve_next(&queue, &upstream) {});
        }
        Self { waiting }
    }
}

impl Handler for Proxy {
    fn on_receive(&mut self, _: &Worker, _: &Session, package: &Package) -> Outcome {
        let deferred = package.defer().ok_or("deferred already")?;
        // Too many wait: the error closes this client instead of letting all of them wait longer.
        Ok(self.waiting.try_send(deferred).map_err(|_| "too busy")?)
    }
}

/// False when the worker has ended.
fn serve_next(queue: &Mutex<Receiver<Deferred>>, upstream: &str) -> bool {
    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Ok(mut deferred) = next else { return false };
    let answer = ask(upstream, deferred.as_bytes())
        .unwrap_or_else(|error| format!("* upstream: {error}\n").into_bytes());
    // Refused when the client has left meanwhile: then nobody waits for it.
    let _ = deferred.send(&answer);
    true // the delivery is finished here, where `deferred` ends
}

fn ask(upstream: &str, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut connection = connect(upstream)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(question)?;
    let mut answer = Vec::new();
    BufReader::new(connection).read_until(b'\n', &mut answer)?;
    Ok(answer)
}

/// A name may have several addresses, of which not all answer.
fn connect(upstream: &str) -> std::io::Result<TcpStream> {
    let mut result = Err(std::io::Error::other("the name has no address"));
    for address in upstream.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, PATIENCE);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// `HOST:PORT` has both; whether the name has an address is asked for each line.
fn upstream(own: &[OsString]) -> Result<Arc<str>, String> {
    let wrong = || "write: proxy HOST:PORT, of the server to ask".to_owned();
    let [word] = own else { return Err(wrong()) };
    let text = word.to_str().ok_or_else(wrong)?;
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port_is_right = port.parse().is_ok_and(|port: u16| port > 0);
    if host.is_empty() || !port_is_right { Err(wrong()) } else { Ok(text.into()) }
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder().framing(Framing::lines()).from_env("OSTLER_");
    let (builder, own) = builder
        .help("proxy HOST:PORT: asks the server at this address for each line")
        .take_args(std::env::args_os().skip(1));
    let upstream = upstream(&own);
    let is_wrong = upstream.clone().map(drop);
    let server = builder.demand(move |_| is_wrong.clone()).bind()?;
    let upstream = upstream.map_err(Error::usage)?;
    server
        .on_listening(|address| println!("listening on {address}"))
        .run(move |_| Proxy::new(&upstream))
}

fn main() -> Exit {
    serve().into()
}

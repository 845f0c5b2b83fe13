//! Proxy: asks another server for each line, by a few threads, so that a slow answer holds up no
//! other client. The master keeps the clients' connections, whatever becomes of this code.
//!
//! ```text
//! proxy UPSTREAM [--set NAME=VALUE]...      for example, with the chat or echo example running:
//! proxy 127.0.0.1:9501 --set listen=127.0.0.1:9502       then: nc 127.0.0.1 9502
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
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
    fn new(upstream: SocketAddr) -> Self {
        let (waiting, queue) = sync_channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || while serve_next(&queue, upstream) {});
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
fn serve_next(queue: &Mutex<Receiver<Deferred>>, upstream: SocketAddr) -> bool {
    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Ok(mut deferred) = next else { return false };
    let answer = ask(upstream, deferred.as_bytes())
        .unwrap_or_else(|error| format!("* upstream: {error}\n").into_bytes());
    // Refused when the client has left meanwhile: then nobody waits for it.
    let _ = deferred.send(&answer);
    true // the delivery is finished here, where `deferred` ends
}

fn ask(upstream: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect_timeout(&upstream, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(question)?;
    let mut answer = Vec::new();
    BufReader::new(connection).read_until(b'\n', &mut answer)?;
    Ok(answer)
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder().framing(Framing::lines()).from_env("OSTLER_");
    let (builder, own) = builder
        .help("proxy UPSTREAM: asks the server at this address for each line")
        .take_args(std::env::args_os().skip(1));
    let upstream = match own.as_slice() {
        [upstream] => upstream.to_str().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let server = builder.bind()?;
    let upstream =
        upstream.ok_or_else(|| Error::usage("write: proxy HOST:PORT, of the server to ask"))?;
    server
        .on_listening(|address| println!("listening on {address}"))
        .run(move |_| Proxy::new(upstream))
}

fn main() -> Exit {
    serve().into()
}

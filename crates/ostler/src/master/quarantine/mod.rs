//! The thread that keeps packages which have killed their workers: a disk may be slow, or stand
//! still, and nobody else waits for it.

mod store;

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use ostler_core::ids::ProcessKey;
use ostler_shm::peer::PeerBlock;

use crate::api::packet_peer::PacketPeer;
use crate::control::{Callback, DyingCallback, ShortText};
use crate::log::{Quota, Quotas, Record};
use crate::reactor::suspects::{Evidence, HeldBytes, Suspect};
pub(crate) use store::Store;
use store::{Kept, NotKept};

/// Packages that wait to be written. More are counted, and not kept.
const WAITING_MAX: usize = 16;
/// How long the end of the server waits for what is still to be written.
const END_MAX: Duration = Duration::from_secs(2);

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Quarantine {
    exhibits: SyncSender<Exhibit>,
    totals: Receiver<Totals>,
    /// Packages that the thread did not get.
    missed: u64,
}

/// A package, and what is known of it.
#[derive(Debug)]
struct Exhibit {
    bytes: HeldBytes,
    facts: Facts,
}

#[derive(Debug)]
struct Facts {
    worker: ProcessKey,
    callback: u8,
    session: Option<u64>,
    peer: Option<String>,
    port: String,
    cause: ShortText,
    attempt: u8,
}

/// What became of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    kept: u64,
    lost: u64,
}

impl Quarantine {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none.
    pub(super) fn start(store: Store) -> io::Result<Self> {
        let (exhibits, received) = sync_channel(WAITING_MAX);
        let (done, totals) = channel();
        let thread = std::thread::Builder::new().name("quarantine".to_owned());
        // Nobody joins it: a disk that stands still must not hold the end.
        drop(thread.spawn(move || run(store, &received, &done))?);
        Ok(Self { exhibits, totals, missed: 0 })
    }

    /// This package has killed its worker. Never waits.
    pub(super) fn keep(
        &mut self,
        suspect: Suspect,
        port: &str,
        callback: DyingCallback,
        cause: ShortText,
    ) {
        let bytes = match suspect.package {
            Some(Evidence::Whole(bytes)) => bytes,
            Some(Evidence::TooLong(bytes)) => {
                self.missed += 1;
                let worker = callback.worker;
                return tracing::warn!(
                    %worker,
                    bytes,
                    "a package that killed its worker is longer than what quarantine_bytes_max has \
                     left, it is not kept"
                );
            }
            None => return, // an event, of which nothing could be kept
        };
        let facts = Facts {
            worker: callback.worker,
            callback: callback.callback,
            session: Some(callback.session).filter(|session| *session != 0),
            peer: suspect.peer.map(|peer| peer.to_string()),
            port: port.to_owned(),
            cause,
            attempt: suspect.attempt,
        };
        match self.exhibits.try_send(Exhibit { bytes, facts }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.missed += 1,
        }
    }

    /// The server ends: what waits is written, unless that takes too long, and the number of all is
    /// told.
    pub(super) fn end(self) {
        let Self { exhibits, totals, missed } = self;
        drop(exhibits);
        match totals.recv_timeout(END_MAX) {
            Ok(Totals { kept, lost }) if kept + lost + missed > 0 => {
                let not_kept = Some(lost + missed).filter(|count| *count > 0);
                tracing::info!(kept, not_kept, "packages that killed their workers");
            }
            Ok(_) => {}
            Err(_) => tracing::warn!("quarantine_dir takes too long, what waits is not kept"),
        }
    }
}

/// What the thread complains about.
struct Complaints {
    full: Quota,
    failed: Quota,
    kept: Quota,
}

impl Quotas for Complaints {
    fn all(&self) -> impl Iterator<Item = &Quota> {
        let Self { full, failed, kept } = self;
        [full, failed, kept].into_iter()
    }
}

fn run(mut store: Store, exhibits: &Receiver<Exhibit>, done: &Sender<Totals>) {
    let mut totals = Totals::default();
    let complaints = Complaints {
        full: Quota::new("packages that killed their workers had no room"),
        failed: Quota::new("packages that killed their workers could not be written"),
        kept: Quota::new("packages that killed their workers were kept"),
    };
    while let Ok(exhibit) = exhibits.recv() {
        let kept = keep(&mut store, exhibit);
        totals.kept += u64::from(kept.is_ok());
        totals.lost += u64::from(kept.is_err());
        tell(&complaints, &kept);
        complaints.tell_due();
    }
    complaints.tell_rest();
    // The server may have given up waiting.
    let _ = done.send(totals);
}

fn keep(store: &mut Store, exhibit: Exhibit) -> Result<Kept, NotKept> {
    let Exhibit { bytes, facts } = exhibit;
    let (peer, package) = match facts.session {
        Some(_) => (facts.peer, bytes.as_ref()),
        // A datagram has the address of its sender in front.
        None => match PeerBlock::read(bytes.as_ref()) {
            Some(block) => {
                let package = bytes.as_ref().get(block.as_bytes().len()..).unwrap_or_default();
                (Some(PacketPeer::of_block(block).to_string()), package)
            }
            None => (None, bytes.as_ref()),
        },
    };
    let mut record = Record::new("package killed its worker");
    record.text("worker", Some(facts.worker));
    record.text("callback", Callback::from_number(facts.callback));
    record.bare("session", facts.session);
    record.text("peer", peer);
    record.text("port", Some(facts.port));
    record.text("cause", Some(facts.cause));
    record.bare("attempt", Some(u16::from(facts.attempt) + 1));
    store.keep(package, record)
}

fn tell(complaints: &Complaints, kept: &Result<Kept, NotKept>) {
    match kept {
        Ok(Kept { path, count }) => {
            if complaints.kept.admits() {
                let file = path.display();
                tracing::warn!(%file, count, "a package that killed its worker is kept");
            }
        }
        Err(NotKept::Packages | NotKept::Bytes) => {
            if complaints.full.admits() {
                tracing::warn!(
                    "a package that killed its worker is not kept: quarantine_files_max or \
                     quarantine_bytes_max is reached, move what is in quarantine_dir and restart"
                );
            }
        }
        Err(NotKept::Failed(error)) => {
            if complaints.failed.admits() {
                tracing::warn!(
                    %error,
                    "a package that killed its worker cannot be written to quarantine_dir"
                );
            }
        }
    }
}

//! What a server must not leave behind: processes, a bound port, files.
//!
//! Tests run side by side, so each check asks whose the find is before it accuses this server.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::TestResult;
use crate::procfs::{self, Stat};
use crate::tree::{self, Tree};
use crate::wait::{LEAK_GRACE, poll_until};

/// Where named shared memory would lie.
const SHM: &str = "/dev/shm";
/// Where files for a moment lie.
const TMP: &str = "/tmp";
/// The state of a socket that accepts connections, as `/proc/net/tcp` shows it (TCP_LISTEN).
const LISTENS: &str = "0A";
/// The field of a line of `/proc/net/tcp` that is the socket's inode.
const INODE: usize = 9;

/// The processes of the tree that outlive the server; empty when all is well.
pub(crate) fn leftover_processes(tree: &Tree) -> Option<String> {
    let mut left: Vec<Stat> = Vec::new();
    let gone = poll_until(LEAK_GRACE, || {
        left = tree.members_and_orphans();
        left.is_empty().then_some(())
    });
    match gone {
        Some(()) => None,
        None => Some(format!("processes outlive the server:\n{}", tree::describe(&left))),
    }
}

/// Binds the port as a server does (with SO_REUSEADDR, which std sets); says what is wrong when
/// that fails.
///
/// The kernel may have given the port to somebody else meanwhile; that is no leak of this server.
/// Nor is a port of datagrams taken by what was a connection at the port of the same number.
pub(crate) fn port_still_taken(
    address: SocketAddr,
    is_datagram: bool,
    limit: Duration,
) -> Option<String> {
    let bind = || match is_datagram {
        true => UdpSocket::bind(address).map(drop),
        false => TcpListener::bind(address).map(drop),
    };
    let mut error = None;
    let is_free = poll_until(limit, || match bind() {
        Ok(()) => Some(()),
        Err(failure) => {
            error = Some(failure);
            // Who shared it with another server leaves it to that one.
            stranger_holds(address.port(), is_datagram).then_some(())
        }
    });
    if is_free.is_some() {
        return None;
    }
    let error = error.map_or_else(String::new, |error| error.to_string());
    Some(format!("{address} cannot be bound again: {error}"))
}

/// Whether a living process holds a socket with this local port. Asked when the tree is known to be
/// gone, so that whoever is found is a stranger.
fn stranger_holds(port: u16, is_datagram: bool) -> bool {
    let inodes = sockets_at(port, is_datagram);
    procfs::all_stats().iter().any(|stat| {
        procfs::links_of_descriptors(stat.pid).iter().any(|(_, target)| {
            target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|inode| inodes.contains(inode))
        })
    })
}

/// Whether datagrams are received at this port, and no connections: asked while the server listens,
/// because its first line names an address without a scheme.
pub(crate) fn takes_datagrams(port: u16) -> bool {
    let accepts = rows_at(port, false).iter().any(|row| row.state == LISTENS);
    !accepts && !rows_at(port, true).is_empty()
}

/// The inodes of the sockets with this local port, as `/proc/net/tcp` and `tcp6` list them, or
/// `udp` and `udp6`.
fn sockets_at(port: u16, is_datagram: bool) -> BTreeSet<String> {
    rows_at(port, is_datagram)
        .into_iter()
        .map(|row| row.inode)
        .filter(|inode| inode != "0")
        .collect()
}

/// A socket, as a line of a file of `/proc/net` shows it (proc(5)).
struct Row {
    state: String,
    inode: String,
}

/// The lines of the sockets with this local port.
fn rows_at(port: u16, is_datagram: bool) -> Vec<Row> {
    let suffix = format!(":{port:04X}");
    let files = match is_datagram {
        true => ["/proc/net/udp", "/proc/net/udp6"],
        false => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let texts = files.into_iter().filter_map(|file| fs::read_to_string(file).ok());
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, .., inode] = fields.get(..=INODE)? else { return None };
        let [state, inode] = [state, inode].map(ToString::to_string);
        local.ends_with(&suffix).then_some(Row { state, inode })
    };
    texts.flat_map(|text| text.lines().filter_map(row).collect::<Vec<_>>()).collect()
}

/// The files in `/dev/shm` and `/tmp` before the server started, and the directory that is the
/// server's own `TMPDIR`. (Numbers of processes come again: a file that was there is not accused.)
#[derive(Debug)]
pub(crate) struct FileWatch {
    before: BTreeSet<PathBuf>,
    scratch: PathBuf,
}

impl FileWatch {
    /// Makes the scratch directory of the server and remembers what there is.
    pub(crate) fn start(marker: &str) -> TestResult<Self> {
        let scratch = std::env::temp_dir().join(format!("testkit-{marker}"));
        fs::create_dir_all(scratch.join("tmp"))?;
        let before = [SHM, TMP].iter().flat_map(|directory| list(Path::new(directory)));
        Ok(Self { before: before.collect(), scratch })
    }

    /// A directory for the test's own files; removed with the server.
    pub(crate) fn directory(&self) -> &Path {
        &self.scratch
    }

    /// The server's `TMPDIR`; must be empty at the end.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.scratch.join("tmp")
    }

    /// The new files that nobody holds: everything in the server's `TMPDIR`; in `/dev/shm` what is
    /// not named after a process of somebody else; in `/tmp` what is named after Ostler and a
    /// process of this server.
    pub(crate) fn leftover_files(&self, tree: &Tree) -> Option<String> {
        let mut left = Vec::new();
        let clean = poll_until(LEAK_GRACE, || {
            left = list(&self.temporary());
            left.extend(list(Path::new(SHM)).into_iter().filter(|path| {
                !self.before.contains(path) && names_this(path, tree).unwrap_or(true)
            }));
            left.extend(list(Path::new(TMP)).into_iter().filter(|path| {
                !self.before.contains(path)
                    && path.to_string_lossy().contains("ostler")
                    && names_this(path, tree) == Some(true)
            }));
            left.retain(|path| !held_by_somebody(path));
            left.is_empty().then_some(())
        });
        match clean {
            Some(()) => None,
            None => Some(format!("files outlive the server: {left:?}")),
        }
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        // A scratch directory that cannot be removed harms nobody: its name is never used again.
        let _ignored = fs::remove_dir_all(&self.scratch);
    }
}

/// Whether a number in a file's name is a process of this tree; `None` when there is no number.
fn names_this(path: &Path, tree: &Tree) -> Option<bool> {
    let name = path.file_name()?.to_string_lossy();
    let numbers: Vec<u32> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter_map(|word| word.parse().ok())
        .collect();
    (!numbers.is_empty()).then(|| numbers.into_iter().any(|pid| tree.has_seen(pid)))
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Whether a living process has the file open or mapped: then it belongs to a server of another
/// test.
fn held_by_somebody(path: &Path) -> bool {
    let name = path.to_string_lossy();
    procfs::all_stats().iter().any(|stat| {
        let open = || procfs::links_of_descriptors(stat.pid).iter().any(|(_, link)| *link == name);
        let mapped = || {
            fs::read_to_string(format!("/proc/{}/maps", stat.pid))
                .is_ok_and(|maps| maps.lines().any(|line| line.ends_with(&*name)))
        };
        open() || mapped()
    })
}

/// A name that no other server of this machine has or had.
pub(crate) fn unique_marker() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    format!("{}-{number}-{now}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_port_has_a_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(sockets_at(port, false).len(), 1);
        assert!(stranger_holds(port, false));
        drop(listener);
        assert!(!stranger_holds(port, false));
    }

    #[test]
    fn a_server_without_reuseaddr_leaves_its_port_taken() {
        use rustix::net::{AddressFamily, SocketType, accept, bind, getsockname, listen, socket};
        let server = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&server, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&server, 1).unwrap();
        let address = SocketAddr::try_from(getsockname(&server).unwrap()).unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        // The side that closes first keeps the port in TIME_WAIT.
        drop(accept(&server).unwrap());
        drop(server);
        drop(client);
        let text = port_still_taken(address, false, Duration::from_millis(10)).unwrap();
        assert!(text.contains("cannot be bound again"), "{text}");
        assert_eq!(port_still_taken(address, true, Duration::from_millis(10)), None);
    }

    #[test]
    fn what_a_port_takes_is_asked_of_the_kernel() {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = datagrams.local_addr().unwrap().port();
        assert!(takes_datagrams(port));
        // Where it can be had: somebody's port of datagrams with the number of one of connections.
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            assert!(!takes_datagrams(port));
            drop(listener);
        }
    }

    /// A client that closed first holds the number of its port for a minute, and nobody else has
    /// it: a port of datagrams with this number is free.
    #[test]
    fn the_port_of_a_client_that_left_is_no_port_of_datagrams() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let address = client.local_addr().unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(client);
        drop(server);
        assert!(port_still_taken(address, false, Duration::from_millis(10)).is_some());
        assert_eq!(port_still_taken(address, true, Duration::from_millis(10)), None);
    }

    #[test]
    fn a_port_of_datagrams_that_somebody_else_has_is_no_leak() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(!stranger_holds(address.port(), false));
        assert_eq!(port_still_taken(address, true, Duration::from_millis(10)), None);
        assert!(UdpSocket::bind(address).is_err());
    }

    #[test]
    fn an_open_file_is_held() {
        let path = std::env::temp_dir().join(format!("testkit-file-{}", unique_marker()));
        let file = fs::File::create(&path).unwrap();
        assert!(held_by_somebody(&path));
        drop(file);
        assert!(!held_by_somebody(&path));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn markers_differ() {
        assert_ne!(unique_marker(), unique_marker());
    }
}

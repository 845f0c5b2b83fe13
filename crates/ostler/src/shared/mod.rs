//! Memory that all processes of a server see: numbers, counters, tables, locks, made before
//! [`Server::run`].
//!
//! Each process of a server is a fork, with a copy of its own of everything that the program had
//! made: a plain `Arc<Mutex<...>>` or `static` that the factory catches is one in each process, and
//! no process sees what another writes into its own. What is made here is the same for all of them:
//! the master, the manager, all workers, those that replace them, and what those fork. Handles are
//! cheap to clone.
//!
//! ```
//! use ostler::shared::Counter;
//! use ostler::{Handler, Outcome, Package, Session, Worker};
//!
//! struct Count {
//!     packages: Counter,
//! }
//!
//! impl Handler for Count {
//!     fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
//!         self.packages.add(1);
//!         Ok(session.send(format!("{} in all workers\n", self.packages.sum()).as_bytes())?)
//!     }
//! }
//!
//! # let builder = ostler::Server::builder().framing(ostler::Framing::lines());
//! let packages = Counter::new("packages")?; // before `run`
//! let make = move |_: &Worker| Count { packages: packages.clone() };
//! # let server = ostler::test::TestServer::start(builder, make).unwrap();
//! # let mut client = server.connect();
//! # client.send(b"a\nb\n");
//! # client.expect(b"1 in all workers\n2 in all workers\n");
//! # Ok::<(), ostler::Error>(())
//! ```
//!
//! # What they outlive
//!
//! Everything but the master: the death of any worker at any instruction, reloads, recycling, the
//! death of the manager. They are empty when a server is started.
//!
//! # With `start = exec`
//!
//! A worker that is started by exec runs the program anew, and would make memory of its own. Such a
//! server is refused at its start, and so is a program as a worker, if it has anything of this
//! module: nobody gets a private copy in silence. Use `start = fork`.
//!
//! # What another process may do to them
//!
//! Any process of the server can write anything into them, also by a mistake in its memory. The
//! engine never looks at them, and what is read from them is checked: it may be wrong then, and
//! nothing else.

mod atomic;
mod counter;
mod lock;
mod origin;
mod table;

#[cfg(doc)]
use crate::Server;

pub use atomic::{Atomic32, Atomic64};
pub use counter::Counter;
pub use lock::{Lock, LockGuard};
pub(crate) use origin::{refuse_with_exec, worker_begins};
pub use table::{Cell, Column, Number, Row, Rows, Table, TableDesign, TableError};

//! Functions of the program that cut packages and choose workers: `package_length_func`,
//! `dispatch_func`.
//!
//! Both run in workers and not, as in the reference, in the process that reads (decision 67).

use ext_php_rs::types::{ZendHashTable, Zval};
use ostler::{ByLength, Handler, Outcome, Package, PackageLength, Session, Worker};

use super::handler::PhpHandler;
use super::state::{PortState, ServerState};
use crate::zend::message::warning;
use crate::zend::value::{self, OwnString, Scalar};
use crate::zend::{callable, fault};

/// `SW_SERVER_EVENT_CONNECT`: what a dispatch function is told of.
const CONNECT: i64 = 5;
/// `SWOOLE_DISPATCH_RESULT_*`.
const DISCARD: i64 = -1;
const CLOSE: i64 = -2;
const FALL_BACK: i64 = -3;

/// The function under a name of the settings; the error is that it is none.
pub(super) fn of_settings(settings: &ZendHashTable, name: &str) -> Result<Option<Zval>, String> {
    let Some(value) = settings.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let mut value = value.shallow_clone();
    match callable::is_callable(&mut value) {
        true => Ok(Some(value)),
        false => Err(format!("{name} is not callable")),
    }
}

/// A worker's handler behind a function that tells the lengths of packages.
struct Whole(PhpHandler);

impl Handler for Whole {
    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        self.0.receive(session, package);
        Ok(())
    }
}

/// Bytes of a port with a length function have come.
pub(super) fn receive(
    handler: PhpHandler,
    port: &PortState,
    (worker, session, package): (&Worker, &Session, &Package),
) -> Outcome {
    let port: *const PortState = port;
    let uncaught = handler.server().uncaught.get();
    let length = move |bytes: &[u8]| {
        // SAFETY: the port lives in its server's list, and that as long as `start()` runs.
        let port = unsafe { &*port };
        let Some(mut function) = port.length.borrow().as_ref().map(Zval::shallow_clone) else {
            return PackageLength::Malformed;
        };
        let bytes = OwnString::new(bytes);
        let length = callable::call_for(&mut function, &mut [bytes.argument()]);
        fault::after_call(uncaught);
        match Scalar(&length).long() {
            0 => PackageLength::NeedMore,
            length => {
                usize::try_from(length).map_or(PackageLength::Malformed, PackageLength::Bytes)
            }
        }
    };
    ByLength::new(length, Whole(handler)).on_receive(worker, session, package)
}

/// Asks the dispatch function for the worker of a session that has come; false: it is closed.
pub(super) fn choose(server: &ServerState, session: &Session) -> bool {
    let Some(mut function) = server.dispatch.borrow().as_ref().map(Zval::shallow_clone) else {
        return true;
    };
    let data = OwnString::new(b"");
    let id = value::id(session.id());
    let this = value::object(server.object);
    let mut given = [this, id, value::long(CONNECT), data.argument()];
    let chosen = callable::call_for(&mut function, &mut given);
    fault::after_call(server.uncaught.get());
    let chosen = if chosen.is_null() { DISCARD } else { Scalar(&chosen).long() };
    let workers = server.event_workers.get();
    let result = match u32::try_from(chosen) {
        Ok(slot) if chosen < workers => session.bind(slot),
        _ if chosen == FALL_BACK => return true,
        _ => {
            if chosen != DISCARD && chosen != CLOSE {
                warning(&format!("invalid target worker id[{chosen}]"));
            }
            let _ = session.close();
            return false;
        }
    };
    // Who has gone meanwhile needs no worker.
    result.is_ok()
}

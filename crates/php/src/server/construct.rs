//! `new Server`: the address is taken at once.

use std::cell::Cell;

use ext_php_rs::types::ZendObject;

use super::sock_type::{Placeholder, SockType};
use super::state::{Mode, ServerState, slot};
use super::{CLASSES, inherited, port};
use crate::errors::{self, code};
use crate::zend::call::Call;
use crate::zend::message::{throw, throw_error};
use crate::zend::{Thrown, object};

thread_local! {
    /// The server that this process has: one at a time, without those that have run.
    static LIVING: Cell<*mut ZendObject> = const { Cell::new(std::ptr::null_mut()) };
}

/// A server is the one of its process as long as it lives, or until it has run.
pub(crate) struct Living(*mut ZendObject);

impl Living {
    fn new(server: *mut ZendObject) -> Self {
        LIVING.set(server);
        Self(server)
    }

    /// There may be another one from now on.
    pub(super) fn end(&self) {
        if std::ptr::eq(LIVING.get(), self.0) {
            LIVING.set(std::ptr::null_mut());
        }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.end();
    }
}

/// The server of this process.
pub(crate) fn current<'a>() -> Option<&'a ServerState> {
    let server = LIVING.get();
    // SAFETY: a server that lives, of the server's class or of one that extends it.
    if server.is_null() { None } else { unsafe { object::get::<ServerState>(server) } }
}

/// An exception of this extension.
pub(crate) fn exception(code: i64, text: &str) -> Thrown {
    throw(CLASSES.exception.get(), code, text)
}

/// `Server::__construct(string $host, int $port, int $mode, int $sock_type)`
pub(super) fn construct(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 4)?;
    let host = call.text_or("0.0.0.0")?;
    let number = call.long_or(0)?;
    let mode = call.long_or(Mode::Base as i64)?;
    let kind = call.long_or(SockType::Tcp as i64)?;
    let this = call.this();
    // SAFETY: this is a method of the server's class.
    if unsafe { object::get::<ServerState>(this) }.is_some() {
        return Err(throw_error("Constructor of Ostler\\Server can only be called once"));
    }
    let mode = match mode {
        1 => Mode::Base,
        2 => Mode::Process,
        other => return Err(throw_error(&format!("invalid $mode parameters {other}"))),
    };
    if !crate::zend::process::is_command_line() {
        return Err(exception(-1, "Ostler\\Server can only be used in the command line of PHP"));
    }
    if !LIVING.get().is_null() {
        errors::set(code::ONLY_START_ONE);
        return Err(exception(-3, "there is a server in this process already"));
    }
    let Some((kind, is_encrypted)) = SockType::of(kind) else {
        return Err(throw_error(&format!("invalid $sock_type parameters {kind}")));
    };
    let Some(port_number) = u16::try_from(number).ok() else {
        return Err(exception(i64::from(libc::EINVAL), &format!("invalid port [{number}]")));
    };
    if host == inherited::HOST && number == 0 {
        return adopt(call, mode, is_encrypted);
    }
    let placeholder = Placeholder::take(kind, &host, port_number).map_err(|error| {
        let code = i64::from(error.raw_os_error().unwrap_or(0));
        let error = errors::of_system(error);
        let text = format!("failed to listen server port[{host}:{number}], Error: {error}");
        exception(code, &text)
    })?;
    let server = begin(call, mode)?;
    port::add(server, kind, is_encrypted, &host, placeholder);
    Ok(())
}

/// The object is the server of this process from now on.
fn begin<'a>(call: &Call<'_>, mode: Mode) -> Result<&'a ServerState, Thrown> {
    let this = call.this();
    let state = ServerState::new(this, mode, Living::new(this));
    // SAFETY: this is a method of the server's class, whose object has no value yet.
    unsafe { object::set(this, state) };
    let server = super::server(call)?;
    server.slot(slot::MODE).set_long(mode as i64);
    Ok(server)
}

/// The ports are the listeners that systemd has passed to this process.
fn adopt(call: &Call<'_>, mode: Mode, is_encrypted: bool) -> Result<(), Thrown> {
    let listeners = inherited::all();
    if listeners.is_empty() {
        return Err(throw_error("systemd has passed no listener to this process"));
    }
    let server = begin(call, mode)?;
    for one in listeners {
        let placeholder = Placeholder::inherited(one.descriptor, one.number);
        port::add(server, one.kind, is_encrypted, &one.host, placeholder);
    }
    Ok(())
}

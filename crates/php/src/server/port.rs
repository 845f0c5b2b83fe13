//! `Server\Port`: one of the addresses on which a server listens.

use std::io;

use ext_php_rs::types::{ZendHashTable, ZendObject};

use super::events::{self, PORT_EVENTS};
use super::sock_type::{Placeholder, SSL, SockType};
use super::state::{Phase, PortState, ServerState, port_slot, slot};
use super::{CLASSES, callbacks, connections, public, server};
use crate::errors::{self, code};
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, DYNAMIC_PROPERTIES, Default, Function, NOT_SERIALIZABLE, PRIVATE, Property, kind,
    method, required,
};
use crate::zend::message::{throw_error, warning};
use crate::zend::{Thrown, object};

const METHODS: &[Function] = &[
    Function {
        name: c"__construct",
        handler: handler!(construct),
        parameters: &[],
        returns: kind::NONE,
        flags: PRIVATE,
    },
    method(c"set", handler!(set), &[required(c"settings", kind::ARRAY)], kind::VOID),
    method(
        c"on",
        handler!(on),
        &[required(c"event_name", kind::STRING), required(c"callback", kind::MIXED)],
        kind::BOOL,
    ),
    method(
        c"getCallback",
        handler!(get_callback),
        &[required(c"event_name", kind::STRING)],
        kind::MIXED,
    ),
    method(c"getSocket", handler!(get_socket), &[], kind::MIXED),
];

/// In the order of [`port_slot`].
const PROPERTIES: [Property; 7] = [
    public("host", kind::STRING | kind::NULL, Default::Null),
    public("port", kind::INT, Default::Long(0)),
    public("type", kind::INT, Default::Long(0)),
    public("sock", kind::INT, Default::Long(-1)),
    public("ssl", kind::BOOL, Default::Bool(false)),
    public("setting", kind::ARRAY | kind::NULL, Default::Null),
    public("connections", kind::OBJECT | kind::NULL, Default::Null),
];

pub(super) fn declare() -> Class {
    let properties: Vec<_> = PROPERTIES.into_iter().chain(callbacks(&PORT_EVENTS)).collect();
    let class = Class::declare("Ostler\\Server\\Port", std::ptr::null_mut(), METHODS)
        .flags(DYNAMIC_PROPERTIES | NOT_SERIALIZABLE)
        .properties(&properties);
    object::embed::<PortState>(class.entry());
    class
}

/// Adds a port whose address was taken; the answer is its object.
pub(super) fn add(
    server: &ServerState,
    kind: SockType,
    is_encrypted: bool,
    host: &str,
    placeholder: Placeholder,
) -> *mut ZendObject {
    let number = placeholder.port;
    let state = PortState {
        kind,
        is_encrypted,
        host: host.to_owned(),
        number: std::cell::Cell::new(number),
        inherited: placeholder.inherited,
        has_own_settings: std::cell::Cell::new(false),
        placeholder: std::cell::RefCell::new(Some(placeholder)),
        length: std::cell::RefCell::default(),
        callbacks: std::default::Default::default(),
    };
    // SAFETY: the class was declared and embedded in `declare`.
    let port = unsafe { object::make(CLASSES.port.get(), state) };
    let type_number = kind as i64 | if is_encrypted { SSL } else { 0 };
    // SAFETY: a port's properties are those of `port_slot`.
    unsafe {
        object::slot(port, port_slot::HOST).set_text(host);
        object::slot(port, port_slot::PORT).set_long(i64::from(number));
        object::slot(port, port_slot::TYPE).set_long(type_number);
        object::slot(port, port_slot::SSL).set_bool(is_encrypted);
        object::slot(port, port_slot::SETTING).set_array(ZendHashTable::new());
        let id = u16::try_from(server.ports.borrow().len()).ok();
        object::slot(port, port_slot::CONNECTIONS).set(connections::make(id));
    }
    let is_first = server.ports.borrow().is_empty();
    if is_first {
        server.slot(slot::HOST).set_text(host);
        server.slot(slot::PORT).set_long(i64::from(number));
        server.slot(slot::TYPE).set_long(type_number);
        server.slot(slot::SSL).set_bool(is_encrypted);
        server.slot(slot::SETTING).set_array(ZendHashTable::new());
        server.slot(slot::CONNECTIONS).set(connections::make(None));
    }
    server.ports.borrow_mut().push(port);
    // SAFETY: the object was just made; the private list takes its first reference, the public one
    // another.
    let both = unsafe { [&mut *port, &mut *port] };
    for (place, object) in [slot::LISTENERS, slot::PORTS].into_iter().zip(both) {
        let list = server.slot(place);
        let mut ports = list.array().unwrap_or_default();
        let mut value = ext_php_rs::types::Zval::new();
        value.set_object(object);
        let _ = ports.push(value);
        list.set_array(ports);
    }
    // SAFETY: the two lists have their own references; the one that it was made with goes.
    unsafe { ext_php_rs::ffi::ext_php_rs_zend_object_release(port) };
    port
}

/// `Server::listen(string $host, int $port, int $sock_type): Port|false`
pub(super) fn listen(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(3, 3)?;
    let server = server(call)?;
    let host = call.text_or("")?;
    let number = call.long()?;
    let kind = call.long()?;
    if server.phase.get() != Phase::Ready {
        warning("server is running, unable to listen to another port");
        return call.returns_bool(false);
    }
    let (Some((kind, is_encrypted)), Ok(wanted)) = (SockType::of(kind), u16::try_from(number))
    else {
        errors::set(i64::from(libc::EINVAL));
        warning(&format!("invalid port[{host}:{number}] or type[{kind}]"));
        return call.returns_bool(false);
    };
    let is_own = |port: &PortState| port.kind.is_same_place(&port.host, (kind, &host));
    let is_taken =
        wanted != 0 && server.any_port(|port| port.number.get() == wanted && is_own(port));
    let taken = || Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
    let place = if is_taken { taken() } else { Placeholder::take(kind, &host, wanted) };
    match place {
        Ok(placeholder) => {
            let port = add(server, kind, is_encrypted, &host, placeholder);
            // SAFETY: the server's lists keep the object alive.
            call.result().set_object(unsafe { &mut *port });
            Ok(())
        }
        Err(error) => {
            errors::set(i64::from(error.raw_os_error().unwrap_or(0)));
            warning(&format!(
                "failed to listen server port[{host}:{number}], Error: {}",
                crate::errors::of_system(error)
            ));
            call.returns_bool(false)
        }
    }
}

fn construct(_: &mut Call<'_>) -> Result<(), Thrown> {
    Err(throw_error("please use the Ostler\\Server->listen method"))
}

fn port<'a>(call: &Call<'_>) -> Result<&'a PortState, Thrown> {
    // SAFETY: the methods are those of the port's class.
    unsafe { object::get::<PortState>(call.this()) }
        .ok_or_else(|| throw_error("the port belongs to no server"))
}

/// Whether it is too late to change anything: the server of this process runs, or has run.
fn has_begun() -> bool {
    super::current().is_none_or(|server| server.phase.get() != Phase::Ready)
}

/// `Port::set(array $settings): void`
fn set(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let port = port(call)?;
    let given = call.array()?;
    if has_begun() {
        warning("server is running, unable to execute Port::set()");
        return Ok(());
    }
    super::settings::check(given)?;
    port.has_own_settings.set(true);
    // SAFETY: a port's properties are those of `port_slot`.
    super::settings::merge(unsafe { object::slot(call.this(), port_slot::SETTING) }, given);
    Ok(())
}

/// `Port::on(string $event_name, callable $callback): bool`
fn on(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    port(call)?;
    let name = call.text_or("")?;
    if has_begun() {
        warning("server is running, unable to register event callback function");
        return call.returns_bool(false);
    }
    let Some(event) = events::find(&PORT_EVENTS, &name) else {
        warning(&format!("unknown event types[{name}]"));
        return call.returns_bool(false);
    };
    let done = put(call.this(), event, call);
    call.returns_bool(done)
}

/// Puts the next argument into the property of an event of a port.
pub(super) fn put(port: *mut ZendObject, event: usize, call: &mut Call<'_>) -> bool {
    let Some(value) = call.value() else { return false };
    if !crate::zend::callable::is_callable(value) {
        warning("the callback cannot be called");
        return false;
    }
    // SAFETY: a port with its properties; it lives in its server's list or is `$this`.
    let (property, state) =
        unsafe { (object::slot(port, port_slot::EVENTS + event), object::get::<PortState>(port)) };
    property.set(value.shallow_clone());
    state.and_then(|state| state.callbacks.get(event)).is_some_and(|one| one.bind(property))
}

/// `Port::getCallback(string $event_name): callable|null`
fn get_callback(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let name = call.text_or("")?;
    if let Some(event) = events::find(&PORT_EVENTS, &name) {
        // SAFETY: a port's properties are those of `port_slot`.
        let property = unsafe { object::slot(call.this(), port_slot::EVENTS + event) };
        *call.result() = property.copy();
    }
    Ok(())
}

/// `Server::getSocket(int $port = 0)`, `Port::getSocket()`: false, because who listens is the
/// master, and code of a program never runs there.
pub(super) fn get_socket(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    call.long_or(0)?;
    errors::set(code::NOT_SUPPORTED);
    warning("listening sockets belong to the master: set options of the port instead");
    call.returns_bool(false)
}

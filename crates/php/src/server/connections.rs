//! `$server->connections`, `$port->connections`: the open sessions.

use std::cell::{Cell, RefCell};

use ext_php_rs::ffi::{zend_ce_arrayaccess, zend_ce_countable, zend_ce_iterator};
use ext_php_rs::types::Zval;

use super::construct::current;
use super::sending::list;
use super::{CLASSES, client_info};
use crate::zend::call::{Call, handler};
use crate::zend::class::{Class, Function, NOT_SERIALIZABLE, kind, method, required};
use crate::zend::object::{self, Embedded, Handlers};
use crate::zend::{Thrown, message};

/// A walk over the sessions of one port, or of all.
pub(super) struct Connections {
    port: Option<u16>,
    found: RefCell<Vec<i64>>,
    at: Cell<usize>,
}

static HANDLERS: Handlers<Connections> = Handlers::new();

impl Embedded for Connections {
    fn handlers() -> &'static Handlers<Self> {
        &HANDLERS
    }
}

const METHODS: &[Function] = &[
    method(c"rewind", handler!(rewind), &[], kind::VOID),
    method(c"next", handler!(next), &[], kind::VOID),
    method(c"current", handler!(current_session), &[], kind::MIXED),
    method(c"key", handler!(key), &[], kind::MIXED),
    method(c"valid", handler!(valid), &[], kind::BOOL),
    method(c"count", handler!(count), &[], kind::INT),
    method(c"offsetExists", handler!(has), &[required(c"fd", kind::MIXED)], kind::BOOL),
    method(c"offsetGet", handler!(get), &[required(c"fd", kind::MIXED)], kind::MIXED),
    method(
        c"offsetSet",
        handler!(nothing),
        &[required(c"fd", kind::MIXED), required(c"value", kind::MIXED)],
        kind::VOID,
    ),
    method(c"offsetUnset", handler!(nothing), &[required(c"fd", kind::MIXED)], kind::VOID),
];

pub(super) fn declare() -> Class {
    let class = Class::declare("Ostler\\Connection\\Iterator", std::ptr::null_mut(), METHODS)
        .flags(NOT_SERIALIZABLE);
    object::embed::<Connections>(class.entry());
    // SAFETY: PHP sets them before it loads modules.
    let interfaces = unsafe { [zend_ce_iterator, zend_ce_countable, zend_ce_arrayaccess] };
    interfaces.into_iter().fold(class, Class::implements)
}

/// A new one.
pub(super) fn make(port: Option<u16>) -> Zval {
    let state = Connections { port, found: RefCell::default(), at: Cell::new(0) };
    // SAFETY: the class was declared and embedded in `declare`.
    let object = unsafe { object::make(CLASSES.connections.get(), state) };
    let mut value = Zval::new();
    // SAFETY: the object was just made; its first reference is given to the value.
    value.set_object(unsafe { &mut *object });
    // SAFETY: the value has a reference of its own now.
    unsafe { ext_php_rs::ffi::ext_php_rs_zend_object_release(object) };
    value
}

fn walk<'a>(call: &Call<'_>) -> Result<&'a Connections, Thrown> {
    // SAFETY: the methods are those of the class.
    unsafe { object::get::<Connections>(call.this()) }
        .ok_or_else(|| message::throw_error("the list of connections belongs to no server"))
}

fn rewind(call: &mut Call<'_>) -> Result<(), Thrown> {
    let walk = walk(call)?;
    let found = current().map_or_else(Vec::new, |server| list(server, walk.port));
    *walk.found.borrow_mut() = found;
    walk.at.set(0);
    Ok(())
}

fn next(call: &mut Call<'_>) -> Result<(), Thrown> {
    let walk = walk(call)?;
    walk.at.set(walk.at.get().saturating_add(1));
    Ok(())
}

fn current_session(call: &mut Call<'_>) -> Result<(), Thrown> {
    let walk = walk(call)?;
    let session = walk.found.borrow().get(walk.at.get()).copied();
    match session {
        Some(session) => call.returns_long(session),
        None => call.returns_bool(false),
    }
}

/// Keys begin with 1.
fn key(call: &mut Call<'_>) -> Result<(), Thrown> {
    let at = walk(call)?.at.get();
    call.returns_long(i64::try_from(at).unwrap_or(0) + 1)
}

fn valid(call: &mut Call<'_>) -> Result<(), Thrown> {
    let walk = walk(call)?;
    let is_valid = walk.at.get() < walk.found.borrow().len();
    call.returns_bool(is_valid)
}

fn count(call: &mut Call<'_>) -> Result<(), Thrown> {
    let walk = walk(call)?;
    let count = current().map_or(0, |server| list(server, walk.port).len());
    call.returns_long(i64::try_from(count).unwrap_or(0))
}

fn has(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let walk = walk(call)?;
    let number = call.long()?;
    let has = current().is_some_and(|server| list(server, walk.port).contains(&number));
    call.returns_bool(has)
}

fn get(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let number = call.long()?;
    match current() {
        Some(server) => client_info::answer_info(call, server, number),
        None => call.returns_bool(false),
    }
}

/// A session is neither made nor ended by an assignment: nothing happens, as in the reference.
fn nothing(_: &mut Call<'_>) -> Result<(), Thrown> {
    Ok(())
}

//! `set`: what a program wants its server and its ports to be.

use ext_php_rs::types::ZendHashTable;

use super::options::{is_engines, table};
use super::state::{Phase, port_slot, slot};
use super::{options::table::Form, server};
use crate::zend::call::Call;
use crate::zend::message::{user_warning, warning};
use crate::zend::object::Slot;
use crate::zend::value::key_text;
use crate::zend::{Thrown, globals, object};

/// `Server::set(array $settings): bool`
pub(super) fn set(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let server = server(call)?;
    let given = call.array()?;
    if server.phase.get() != Phase::Ready {
        warning("server is running, unable to execute Server::set()");
        return call.returns_bool(false);
    }
    check(given)?;
    merge(server.slot(slot::SETTING), given);
    if let Some((port, _)) = server.port(0) {
        // SAFETY: a port's properties are those of `port_slot`.
        merge(unsafe { object::slot(port, port_slot::SETTING) }, given);
    }
    call.returns_bool(true)
}

/// Warns of what nobody knows, and of what this extension does not have.
pub(super) fn check(given: &ZendHashTable) -> Result<(), Thrown> {
    for (key, _) in given {
        let Some(name) = key_text(&key) else { continue };
        match table::find(&name.to_ascii_lowercase()) {
            Some(Form::Missing) => {
                warning(&format!("the option [{name}] has no effect yet in this version"));
            }
            Some(_) => {}
            None if is_engines(&name) => {}
            None => match table::similar(&name) {
                Some(similar) => {
                    let text = format!("unsupported option [{name}], did you mean [{similar}]?");
                    user_warning(&text);
                }
                None => user_warning(&format!("unsupported option [{name}]")),
            },
        }
        // A handler of the program may make an exception of a warning.
        if !globals::exception().is_null() {
            return Err(Thrown);
        }
    }
    Ok(())
}

/// Lets what was given replace and complete what an array has.
pub(super) fn merge(place: Slot, given: &ZendHashTable) {
    let mut merged = place.array().unwrap_or_default();
    for (key, value) in given {
        let _ = merged.insert(key, value.shallow_clone());
    }
    place.set_array(merged);
}

/// Completes `$server->setting` with what is in force.
pub(super) fn complete(place: Slot, key: &str, value: i64) {
    let mut completed = place.array().unwrap_or_default();
    if completed.get(key).is_none() {
        let _ = completed.insert(key, value);
    }
    place.set_array(completed);
}

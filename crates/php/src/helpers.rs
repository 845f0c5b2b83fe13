//! Functions of the reference that need no server: hashes, parts of strings, addresses of this
//! machine, lines of the log.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ext_php_rs::types::Zval;

use crate::errors;
use crate::interfaces::{self, Interface};
use crate::zend::Thrown;
use crate::zend::call::{Call, handler, text};
use crate::zend::class::{Function, Parameter, function, kind, optional, required};
use crate::zend::function as php;
use crate::zend::value::Array;

const STR: Parameter = required(c"str", kind::STRING);
const OFFSET: Parameter = required(c"offset", kind::INT);
const LENGTH: Parameter = optional(c"length", kind::INT, c"0");

pub(crate) const FUNCTIONS: &[Function] = &[
    function(
        c"swoole_hashcode",
        handler!(hash_code),
        &[required(c"data", kind::STRING), optional(c"type", kind::INT, c"0")],
        kind::INT | kind::FALSE,
    ),
    function(
        c"swoole_substr_unserialize",
        handler!(unserialize_part),
        &[STR, OFFSET, LENGTH, optional(c"options", kind::ARRAY, c"[]")],
        kind::MIXED,
    ),
    function(
        c"swoole_substr_json_decode",
        handler!(decode_json_part),
        &[
            STR,
            OFFSET,
            LENGTH,
            optional(c"associative", kind::BOOL | kind::NULL, c"null"),
            optional(c"depth", kind::INT, c"512"),
            optional(c"flags", kind::INT, c"0"),
        ],
        kind::MIXED,
    ),
    function(c"swoole_get_local_ip", handler!(local_ip), &[], kind::ARRAY | kind::FALSE),
    function(c"swoole_get_local_mac", handler!(local_mac), &[], kind::ARRAY | kind::FALSE),
    function(
        c"swoole_error_log",
        handler!(log),
        &[required(c"level", kind::INT), required(c"msg", kind::STRING)],
        kind::VOID,
    ),
    function(
        c"swoole_error_log_ex",
        handler!(log_error),
        &[
            required(c"level", kind::INT),
            required(c"error", kind::INT),
            required(c"msg", kind::STRING),
        ],
        kind::VOID,
    ),
    function(
        c"swoole_ignore_error",
        handler!(ignore_error),
        &[required(c"error", kind::INT)],
        kind::VOID,
    ),
];

/// `swoole_hashcode(string $data, int $type = 0): int|false`: the hash that PHP's arrays use, or
/// Jenkins' one-at-a-time.
fn hash_code(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let bytes = call.bytes()?.unwrap_or_default();
    match call.long_or(0)? {
        0 => call.returns_long(hash_of_arrays(bytes)),
        1 => call.returns_long(i64::from(one_at_a_time(bytes))),
        _ => call.returns_bool(false),
    }
}

/// `hash * 33 + byte`, with the highest bit set.
fn hash_of_arrays(bytes: &[u8]) -> i64 {
    let sum = bytes
        .iter()
        .fold(5_381_u64, |hash, byte| hash.wrapping_mul(33).wrapping_add(u64::from(*byte)));
    (sum | 1 << 63).cast_signed()
}

/// Bytes count with their sign, as in the reference.
fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut hash = 0_u32;
    for byte in bytes {
        hash = hash.wrapping_add(i32::from(byte.cast_signed()).cast_unsigned());
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// The part of a string that the next arguments name, as a value; nothing when it has none.
fn part(call: &mut Call<'_>) -> Result<Option<Zval>, Thrown> {
    let bytes = call.bytes()?.unwrap_or_default();
    let (offset, length) = (call.long()?, call.long_or(0)?);
    let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { offset.saturating_add(len) } else { offset };
    let to = if length > 0 { from.saturating_add(length).min(len) } else { len };
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let part = range.and_then(|(from, to)| bytes.get(from..to)).filter(|part| !part.is_empty());
    Ok(part.map(|part| {
        let mut value = Zval::new();
        value.set_binary(part.to_vec());
        value
    }))
}

/// `swoole_substr_unserialize(string $str, int $offset, int $length = 0, array $options = []):
/// mixed`
fn unserialize_part(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 4)?;
    let Some(part) = part(call)? else { return call.returns_bool(false) };
    let mut arguments = vec![part];
    arguments.extend(call.value().map(|options| options.shallow_clone()));
    *call.result() = php::call("unserialize", arguments).ok_or(Thrown)?;
    Ok(())
}

/// `swoole_substr_json_decode(string $str, int $offset, int $length = 0, ?bool $associative = null,
/// int $depth = 512, int $flags = 0): mixed`
fn decode_json_part(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 6)?;
    let Some(part) = part(call)? else { return call.returns_bool(false) };
    let mut arguments = vec![part];
    while let Some(argument) = call.value() {
        arguments.push(argument.shallow_clone());
    }
    *call.result() = php::call("json_decode", arguments).ok_or(Thrown)?;
    Ok(())
}

/// The interfaces of this machine; nothing, with a warning, when the system does not tell them.
fn all_interfaces() -> Option<Vec<Interface>> {
    let found = interfaces::all();
    found.map_err(|error| errors::warn_of_failure("getifaddrs()", error)).ok()
}

/// `swoole_get_local_ip(): array|false`: the addresses of IPv4 by the names of their interfaces,
/// without that which every machine has.
fn local_ip(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let Some(all) = all_interfaces() else { return call.returns_bool(false) };
    let own = all.iter().filter(|one| one.is_up).filter_map(|one| Some((&one.name, one.ip?)));
    let own = own.filter(|(_, ip)| *ip != std::net::Ipv4Addr::LOCALHOST);
    let array = own.fold(Array::new(), |array, (name, ip)| array.text(name, &ip.to_string()));
    array.into(call.result());
    Ok(())
}

/// `swoole_get_local_mac(): array|false`: the hardware addresses of interfaces that have one of
/// IPv4.
fn local_mac(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let Some(all) = all_interfaces() else { return call.returns_bool(false) };
    let has_ip = |name: &str| all.iter().any(|one| one.name == name && one.ip.is_some());
    let hardware = all.iter().filter_map(|one| Some((&one.name, one.hardware?)));
    let array =
        hardware.filter(|(name, _)| has_ip(name)).fold(Array::new(), |array, (name, it)| {
            let [a, b, c, d, e, f] = it;
            array.text(name, &format!("{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}"))
        });
    array.into(call.result());
    Ok(())
}

thread_local! {
    /// Codes of errors of which `swoole_error_log_ex` writes nothing.
    static IGNORED: RefCell<BTreeSet<i64>> = const { RefCell::new(BTreeSet::new()) };
}

/// `swoole_error_log(int $level, string $msg): void`: a line of the server's log.
fn log(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let (level, bytes) = (call.long()?, call.bytes()?.unwrap_or_default());
    write(level, &text(bytes));
    Ok(())
}

/// `swoole_error_log_ex(int $level, int $error, string $msg): void`: the same with the code of an
/// error, which is the last one from now on.
fn log_error(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(3, 3)?;
    let (level, error) = (call.long()?, call.long()?);
    let bytes = call.bytes()?.unwrap_or_default();
    errors::set(error);
    if !IGNORED.with_borrow(|ignored| ignored.contains(&error)) {
        write(level, &format!("{} (ERRNO {error})", text(bytes)));
    }
    Ok(())
}

/// `swoole_ignore_error(int $error): void`
fn ignore_error(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let error = call.long()?;
    IGNORED.with_borrow_mut(|ignored| ignored.insert(error));
    Ok(())
}

/// Levels are those of `SWOOLE_LOG_*`; the log has the engine's words for them. Where no server
/// runs, there is no log, and the line goes to standard error.
fn write(level: i64, line: &str) {
    if !crate::server::has_log() {
        return eprintln!("{line}");
    }
    match level {
        ..=0 => tracing::debug!("{line}"),
        1 => tracing::trace!("{line}"),
        2 | 3 => tracing::info!("{line}"),
        4 => tracing::warn!("{line}"),
        5 => tracing::error!("{line}"),
        _ => {}
    }
}

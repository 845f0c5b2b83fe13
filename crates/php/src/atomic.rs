//! `Atomic`, `Atomic\Long`: numbers that all processes of a server see.

use std::time::{Duration, Instant};

use ostler::shared::{Atomic32, Atomic64};

use crate::server::throw_exception;
use crate::zend::Thrown;
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, Function, NOT_SERIALIZABLE, Parameter, kind, method, optional, required,
};
use crate::zend::message::throw_error;
use crate::zend::object::{self, Embedded, Handlers};

/// The longest time that a program waits without saying a time: as good as for ever.
const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);

static SHORT: Handlers<Atomic32> = Handlers::new();
static LONG: Handlers<Atomic64> = Handlers::new();

impl Embedded for Atomic32 {
    fn handlers() -> &'static Handlers<Self> {
        &SHORT
    }
}

impl Embedded for Atomic64 {
    fn handlers() -> &'static Handlers<Self> {
        &LONG
    }
}

const VALUE: &[Parameter] = &[optional(c"value", kind::INT, c"0")];
const ADD: &[Parameter] = &[optional(c"add_value", kind::INT, c"1")];
const SUB: &[Parameter] = &[optional(c"sub_value", kind::INT, c"1")];
const SET: &[Parameter] = &[required(c"value", kind::INT)];
const EXCHANGE: &[Parameter] =
    &[required(c"cmp_value", kind::INT), required(c"new_value", kind::INT)];

const METHODS: &[Function] = &[
    method(c"__construct", handler!(construct), VALUE, kind::NONE),
    method(c"add", handler!(add), ADD, kind::INT),
    method(c"sub", handler!(sub), SUB, kind::INT),
    method(c"get", handler!(get), &[], kind::INT),
    method(c"set", handler!(set), SET, kind::VOID),
    method(c"wait", handler!(wait), &[optional(c"timeout", kind::FLOAT, c"1.0")], kind::BOOL),
    method(c"wakeup", handler!(wake), &[optional(c"count", kind::INT, c"1")], kind::BOOL),
    method(c"cmpset", handler!(exchange), EXCHANGE, kind::BOOL),
];

const LONG_METHODS: &[Function] = &[
    method(c"__construct", handler!(construct_long), VALUE, kind::NONE),
    method(c"add", handler!(add_long), ADD, kind::INT),
    method(c"sub", handler!(sub_long), SUB, kind::INT),
    method(c"get", handler!(get_long), &[], kind::INT),
    method(c"set", handler!(set_long), SET, kind::VOID),
    method(c"cmpset", handler!(exchange_long), EXCHANGE, kind::BOOL),
];

/// Declares both classes.
pub(crate) fn declare(swoole: impl Fn(Class, &str) -> Class) {
    let short = Class::declare("Ostler\\Atomic", std::ptr::null_mut(), METHODS);
    object::embed::<Atomic32>(short.entry());
    swoole(short.flags(NOT_SERIALIZABLE), "Swoole\\Atomic");
    let long = Class::declare("Ostler\\Atomic\\Long", std::ptr::null_mut(), LONG_METHODS);
    object::embed::<Atomic64>(long.entry());
    swoole(long.flags(NOT_SERIALIZABLE), "Swoole\\Atomic\\Long");
}

/// The number of an object, whose constructor has to have run.
fn number<'a, T: Embedded>(call: &Call<'_>) -> Result<&'a T, Thrown> {
    // SAFETY: the methods of a class are called for its own objects.
    unsafe { object::get::<T>(call.this()) }
        .ok_or_else(|| throw_error("must call the constructor first"))
}

fn construct(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let value = cut(call.long_or(0)?);
    let made = Atomic32::new("atomic", value);
    let made = made.map_err(|error| throw_exception(0, &error.to_string()))?;
    // SAFETY: this is a method of the class that was embedded with it.
    unsafe { object::set(call.this(), made) };
    Ok(())
}

/// The lowest 32 bits, as C has them.
fn cut(value: i64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn add(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let by = cut(call.long_or(1)?);
    let before = number::<Atomic32>(call)?.add(by);
    call.returns_long(i64::from(before.wrapping_add(by)))
}

fn sub(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let by = cut(call.long_or(1)?).wrapping_neg();
    let before = number::<Atomic32>(call)?.add(by);
    call.returns_long(i64::from(before.wrapping_add(by)))
}

fn get(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let value = number::<Atomic32>(call)?.load();
    call.returns_long(i64::from(value))
}

fn set(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let value = cut(call.long()?);
    number::<Atomic32>(call)?.store(value);
    Ok(())
}

fn exchange(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let (current, new) = (cut(call.long()?), cut(call.long()?));
    let done = number::<Atomic32>(call)?.replace(current, new).is_ok();
    call.returns_bool(done)
}

/// One is a wake-up that nobody has taken yet.
fn wait(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let timeout = call.float_or(1.0)?;
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(FOR_EVER).min(FOR_EVER);
    let number = number::<Atomic32>(call)?;
    let begun = Instant::now();
    loop {
        if number.replace(1, 0).is_ok() {
            return call.returns_bool(true);
        }
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() || !number.wait(0, left) {
            return call.returns_bool(false);
        }
        if number.load() != 1 {
            // It has become some other number: nobody has woken anybody.
            return call.returns_bool(false);
        }
    }
}

fn wake(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let waiters = u32::try_from(call.long_or(1)?).unwrap_or(1).max(1);
    let number = number::<Atomic32>(call)?;
    if number.replace(0, 1).is_ok() {
        let _ = number.wake(waiters);
    }
    call.returns_bool(true)
}

fn construct_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let value = call.long_or(0)?.cast_unsigned();
    let made = Atomic64::new("atomic", value);
    let made = made.map_err(|error| throw_exception(0, &error.to_string()))?;
    // SAFETY: this is a method of the class that was embedded with it.
    unsafe { object::set(call.this(), made) };
    Ok(())
}

fn add_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let by = call.long_or(1)?.cast_unsigned();
    let before = number::<Atomic64>(call)?.add(by);
    call.returns_long(before.wrapping_add(by).cast_signed())
}

fn sub_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let by = call.long_or(1)?.cast_unsigned().wrapping_neg();
    let before = number::<Atomic64>(call)?.add(by);
    call.returns_long(before.wrapping_add(by).cast_signed())
}

fn get_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let value = number::<Atomic64>(call)?.load();
    call.returns_long(value.cast_signed())
}

fn set_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let value = call.long()?.cast_unsigned();
    number::<Atomic64>(call)?.store(value);
    Ok(())
}

fn exchange_long(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let (current, new) = (call.long()?.cast_unsigned(), call.long()?.cast_unsigned());
    let done = number::<Atomic64>(call)?.replace(current, new).is_ok();
    call.returns_bool(done)
}

//! `Lock`: what one process at a time holds, of all that were forked from the one that has made it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ostler::shared::{Lock, LockGuard};

use crate::server::throw_exception;
use crate::zend::Thrown;
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, Default, Function, NOT_SERIALIZABLE, PUBLIC, Property, kind, method, optional,
};
use crate::zend::message::{throw_error, warning};
use crate::zend::object::{self, Embedded, Handlers};

/// `Lock::MUTEX` and its like, with the numbers of the reference.
const TYPES: &[(&str, i64)] = &[("RWLOCK", 1), ("MUTEX", 3), ("SPINLOCK", 5)];
/// PHP's `LOCK_SH`, `LOCK_EX`, `LOCK_NB`.
const SHARED: i64 = 1;
const EXCLUSIVE: i64 = 2;
const NOT_WAITING: i64 = 4;
/// As good as for ever.
const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);

/// A lock, and whether this process holds it.
pub(crate) struct State {
    // Dropped before the lock that it borrows.
    held: RefCell<Option<LockGuard<'static>>>,
    lock: Box<Lock>,
    /// Which process took it: a child has a copy of all this, and not the lock.
    holder: Cell<u32>,
    /// How often it was taken to be shared, by this process.
    shares: Cell<u32>,
}

static HANDLERS: Handlers<State> = Handlers::new();

impl Embedded for State {
    fn handlers() -> &'static Handlers<Self> {
        &HANDLERS
    }
}

const METHODS: &[Function] = &[
    method(
        c"__construct",
        handler!(construct),
        &[optional(c"type", kind::INT, c"SWOOLE_MUTEX")],
        kind::NONE,
    ),
    method(
        c"lock",
        handler!(lock),
        &[
            optional(c"operation", kind::INT, c"LOCK_EX"),
            optional(c"timeout", kind::FLOAT, c"-1.0"),
        ],
        kind::BOOL,
    ),
    method(
        c"lockwait",
        handler!(lock_wait),
        &[optional(c"timeout", kind::FLOAT, c"1.0")],
        kind::BOOL,
    ),
    method(c"trylock", handler!(try_lock), &[], kind::BOOL),
    method(c"lock_read", handler!(lock_read), &[], kind::BOOL),
    method(c"trylock_read", handler!(try_lock_read), &[], kind::BOOL),
    method(c"unlock", handler!(unlock), &[], kind::BOOL),
    method(c"destroy", handler!(destroy), &[], kind::VOID),
];

/// The only property: what the last refused call was refused for.
const PROPERTIES: [Property; 1] =
    [Property { name: "errCode", kind: kind::INT, default: Default::Long(0), flags: PUBLIC }];

/// Declares the class.
pub(crate) fn declare() -> Class {
    let class = Class::declare("Ostler\\Lock", std::ptr::null_mut(), METHODS)
        .flags(NOT_SERIALIZABLE)
        .properties(&PROPERTIES)
        .numbers(TYPES);
    object::embed::<State>(class.entry());
    class
}

fn state<'a>(call: &Call<'_>) -> Result<&'a State, Thrown> {
    // SAFETY: the methods are those of the class.
    unsafe { object::get::<State>(call.this()) }
        .ok_or_else(|| throw_error("must call the constructor first"))
}

fn construct(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let of = call.long_or(3)?;
    // SAFETY: this is a method of the class.
    if unsafe { object::get::<State>(call.this()) }.is_some() {
        return Err(throw_error("Constructor of Ostler\\Lock can only be called once"));
    }
    if !TYPES.iter().any(|(_, known)| *known == of) {
        return Err(throw_exception(0, &format!("lock type[{of}] is not support")));
    }
    let made = Lock::new("lock").map_err(|error| throw_exception(0, &error.to_string()))?;
    let state = State {
        held: RefCell::new(None),
        lock: Box::new(made),
        holder: Cell::new(0),
        shares: Cell::new(0),
    };
    // SAFETY: this is a method of the class that was embedded with it.
    unsafe { object::set(call.this(), state) };
    Ok(())
}

impl State {
    /// Whether this process, and not the one that it was forked from, holds it.
    fn is_held(&self) -> bool {
        if self.holder.get() != std::process::id() {
            // What was copied from there gives nothing back when it is dropped.
            drop(self.held.take());
            self.shares.set(0);
        }
        self.held.borrow().is_some()
    }

    /// Takes it; the error is a number of the system.
    fn take(&self, is_shared: bool, timeout: Duration) -> Result<(), i32> {
        if self.is_held() && is_shared && self.shares.get() > 0 {
            self.shares.set(self.shares.get().saturating_add(1));
            return Ok(());
        }
        if self.is_held() {
            // Nobody but this process could let go, and it waits: better said at once.
            return Err(libc::EDEADLK);
        }
        let lock: *const Lock = &raw const *self.lock;
        // SAFETY: the lock lies in a box of its own that is dropped behind the guard.
        let lock: &'static Lock = unsafe { &*lock };
        match lock.lock(timeout) {
            Ok(Some(guard)) => {
                // Whoever died with it has left what the program alone can judge.
                if guard.is_torn() {
                    guard.mend();
                }
                *self.held.borrow_mut() = Some(guard);
                self.holder.set(std::process::id());
                self.shares.set(u32::from(is_shared));
                Ok(())
            }
            Ok(None) if timeout.is_zero() => Err(libc::EBUSY),
            Ok(None) => Err(libc::ETIMEDOUT),
            Err(_) => Err(libc::ENOLCK),
        }
    }
}

fn answer(call: &mut Call<'_>, taken: Result<(), i32>) -> Result<(), Thrown> {
    if let Err(error) = taken {
        // SAFETY: the class declares this property.
        unsafe { object::slot(call.this(), 0) }.set_long(i64::from(error));
    }
    call.returns_bool(taken.is_ok())
}

/// `Lock::lock(int $operation = LOCK_EX, float $timeout = -1): bool`
fn lock(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 2)?;
    let (operation, seconds) = (call.long_or(EXCLUSIVE)?, call.float_or(-1.0)?);
    let state = state(call)?;
    let is_shared = match operation & !NOT_WAITING {
        SHARED => true,
        EXCLUSIVE => false,
        _ => {
            warning(&format!("invalid operation [{operation}]"));
            return answer(call, Err(libc::EINVAL));
        }
    };
    let timeout = match operation & NOT_WAITING {
        0 => limit(seconds),
        _ => Duration::ZERO,
    };
    answer(call, state.take(is_shared, timeout))
}

/// No time is for ever.
fn limit(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => time.min(FOR_EVER),
        _ => FOR_EVER,
    }
}

/// `Lock::lockwait(float $timeout = 1.0): bool`
fn lock_wait(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let seconds = call.float_or(1.0)?;
    let taken = state(call)?.take(false, limit(seconds));
    answer(call, taken)
}

fn take(call: &mut Call<'_>, is_shared: bool, timeout: Duration) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let taken = state(call)?.take(is_shared, timeout);
    answer(call, taken)
}

fn try_lock(call: &mut Call<'_>) -> Result<(), Thrown> {
    take(call, false, Duration::ZERO)
}

fn lock_read(call: &mut Call<'_>) -> Result<(), Thrown> {
    take(call, true, FOR_EVER)
}

fn try_lock_read(call: &mut Call<'_>) -> Result<(), Thrown> {
    take(call, true, Duration::ZERO)
}

/// `Lock::unlock(): bool`
fn unlock(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let state = state(call)?;
    if !state.is_held() {
        return answer(call, Err(libc::EPERM));
    }
    match state.shares.get() {
        0 | 1 => {
            state.shares.set(0);
            drop(state.held.take());
        }
        more => state.shares.set(more - 1),
    }
    call.returns_bool(true)
}

/// `Lock::destroy(): void`: what it takes is given back with the object.
fn destroy(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    state(call).map(|_| ())
}

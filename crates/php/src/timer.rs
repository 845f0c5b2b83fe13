//! `Timer`: callbacks that run later, or again and again, in the process that asked for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Duration;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::zend_class_entry;
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ostler::TimerId;

use crate::server::{Ticker, current, uncaught};
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, Function, Parameter, function, kind, required, static_method, variadic,
};
use crate::zend::message::warning;
use crate::zend::value::{self, Argument, Array};
use crate::zend::{Thrown, callable, fault};

/// What a timer does.
enum Work {
    /// It calls a function of the program with these arguments, behind those of its own.
    Program(Zval, Vec<Zval>),
    /// It does something for the extension.
    Own(Rc<dyn Fn()>),
}

impl Work {
    /// Another reference to the same.
    fn again(&self) -> Self {
        match self {
            Self::Program(callback, arguments) => {
                let arguments = arguments.iter().map(Zval::shallow_clone).collect();
                Self::Program(callback.shallow_clone(), arguments)
            }
            Self::Own(run) => Self::Own(Rc::clone(run)),
        }
    }
}

/// A timer that has been asked for.
struct Timer {
    work: Work,
    interval_ms: i64,
    /// It runs again.
    repeats: bool,
    runs: i64,
    engine: TimerId,
}

/// The timers of this process.
struct Timers {
    all: BTreeMap<i64, Timer>,
    last: i64,
}

thread_local! {
    /// Never dropped by itself: PHP's part of the end of a process comes behind the end of what
    /// threads have.
    static TIMERS: RefCell<ManuallyDrop<Timers>> =
        const { RefCell::new(ManuallyDrop::new(Timers { all: BTreeMap::new(), last: 0 })) };
}

const ID: &[Parameter] = &[required(c"timer_id", kind::INT)];
const LATER: &[Parameter] = &[
    required(c"ms", kind::INT),
    required(c"callback", kind::MIXED),
    variadic(c"params", kind::MIXED),
];

const METHODS: &[Function] = &[
    static_method(c"tick", handler!(tick), LATER, kind::INT | kind::FALSE),
    static_method(c"after", handler!(after), LATER, kind::INT | kind::FALSE),
    static_method(c"exists", handler!(exists), ID, kind::BOOL),
    static_method(c"info", handler!(info), ID, kind::ARRAY | kind::NULL),
    static_method(c"stats", handler!(stats), &[], kind::ARRAY),
    static_method(c"list", handler!(list), &[], kind::OBJECT),
    static_method(c"clear", handler!(clear), ID, kind::BOOL),
    static_method(c"clearAll", handler!(clear_all), &[], kind::BOOL),
];

/// The same as functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    function(c"swoole_timer_tick", handler!(tick), LATER, kind::INT | kind::FALSE),
    function(c"swoole_timer_after", handler!(after), LATER, kind::INT | kind::FALSE),
    function(c"swoole_timer_exists", handler!(exists), ID, kind::BOOL),
    function(c"swoole_timer_info", handler!(info), ID, kind::ARRAY | kind::NULL),
    function(c"swoole_timer_stats", handler!(stats), &[], kind::ARRAY),
    function(c"swoole_timer_list", handler!(list), &[], kind::OBJECT),
    function(c"swoole_timer_clear", handler!(clear), ID, kind::BOOL),
    function(c"swoole_timer_clear_all", handler!(clear_all), &[], kind::BOOL),
];

thread_local! {
    /// What `list` answers with.
    static ITERATOR: Cell<*mut zend_class_entry> = const { Cell::new(std::ptr::null_mut()) };
}

unsafe extern "C" {
    /// `ext/spl/spl_array.h`, which the bindings do not read: `ArrayIterator`.
    static spl_ce_ArrayIterator: *mut zend_class_entry;
}

/// Declares the classes.
pub(crate) fn declare(swoole: impl Fn(Class, &str) -> Class) {
    swoole(Class::declare("Ostler\\Timer", std::ptr::null_mut(), METHODS), "Swoole\\Timer");
    // SAFETY: PHP's own modules have started before this one.
    let parent = unsafe { spl_ce_ArrayIterator };
    let iterator = Class::declare("Ostler\\Timer\\Iterator", parent, &[]);
    ITERATOR.set(iterator.entry());
    swoole(iterator, "Swoole\\Timer\\Iterator");
}

/// Drops what timers hold, while PHP's memory is there.
pub(crate) fn forget_all() {
    let all = TIMERS.with_borrow_mut(|timers| std::mem::take(&mut timers.all));
    drop(all);
}

fn tick(call: &mut Call<'_>) -> Result<(), Thrown> {
    add(call, true)
}

fn after(call: &mut Call<'_>) -> Result<(), Thrown> {
    add(call, false)
}

fn add(call: &mut Call<'_>, repeats: bool) -> Result<(), Thrown> {
    call.arguments(2, u32::MAX)?;
    let interval_ms = call.long()?;
    let Some(callback) = call.value() else { return Err(Thrown) };
    if !callable::is_callable(callback) {
        warning("the callback cannot be called");
        return call.returns_bool(false);
    }
    let callback = callback.shallow_clone();
    let mut arguments = Vec::new();
    while let Some(argument) = call.value() {
        arguments.push(argument.shallow_clone());
    }
    let interval = u64::try_from(interval_ms).ok().filter(|interval| *interval > 0);
    let Some(interval) = interval.map(Duration::from_millis) else {
        warning("Timer must be greater than or equal to 1");
        return call.returns_bool(false);
    };
    let Some(ticker) = current().and_then(Ticker::of) else {
        warning("timers run in the processes of a server that runs");
        return call.returns_bool(false);
    };
    let id = register(&ticker, interval, repeats, Work::Program(callback, arguments));
    call.returns_long(id)
}

/// Lets `run` be called again and again; the answer is the number by which the program, too, knows
/// the timer.
pub(crate) fn every(ticker: &Ticker<'_>, interval: Duration, run: impl Fn() + 'static) -> i64 {
    register(ticker, interval, true, Work::Own(Rc::new(run)))
}

fn register(ticker: &Ticker<'_>, interval: Duration, repeats: bool, work: Work) -> i64 {
    let id = TIMERS.with_borrow_mut(|timers| {
        timers.last += 1;
        timers.last
    });
    let engine = ticker.start(interval, repeats, move || fire(id));
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    let timer = Timer { work, interval_ms, repeats, runs: 0, engine };
    TIMERS.with_borrow_mut(|timers| timers.all.insert(id, timer));
    id
}

/// One is due. Nothing of the list is held while the program's code runs.
fn fire(id: i64) {
    let due = TIMERS.with_borrow_mut(|timers| {
        let timer = timers.all.get_mut(&id)?;
        timer.runs += 1;
        Some((timer.work.again(), timer.repeats))
    });
    let Some((work, repeats)) = due else { return };
    match work {
        Work::Program(callback, arguments) => {
            let own = repeats.then(|| value::long(id));
            call_program(callback, own, arguments);
        }
        Work::Own(run) => run(),
    }
    fault::after_call(uncaught());
    if !repeats {
        let done = TIMERS.with_borrow_mut(|timers| timers.all.remove(&id));
        drop(done);
    }
}

/// Calls a function with an argument that is nobody's and others that go with the call.
fn call_program(mut callback: Zval, first: Option<Argument>, others: Vec<Zval>) {
    let skip = usize::from(first.is_some());
    let others = others.into_iter().map(ManuallyDrop::new);
    let mut all: Vec<_> = first.into_iter().chain(others).collect();
    callable::call_value(&mut callback, &mut all);
    drop(all.into_iter().skip(skip).map(ManuallyDrop::into_inner).collect::<Vec<_>>());
}

fn exists(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let id = call.long()?;
    let exists = TIMERS.with_borrow(|timers| timers.all.contains_key(&id));
    call.returns_bool(exists)
}

fn info(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let id = call.long()?;
    let found = TIMERS.with_borrow(|timers| {
        let timer = timers.all.get(&id)?;
        let array = Array::new()
            .long("exec_msec", timer.interval_ms)
            .long("exec_count", timer.runs)
            .long("interval", if timer.repeats { timer.interval_ms } else { 0 })
            .long("round", timer.runs)
            .bool("removed", false);
        Some(array)
    });
    if let Some(array) = found {
        array.into(call.result());
    }
    Ok(())
}

fn stats(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let (count, last) = TIMERS.with_borrow(|timers| (timers.all.len(), timers.last));
    let count = i64::try_from(count).unwrap_or(0);
    let array = Array::new().bool("initialized", last > 0).long("num", count).long("round", last);
    array.into(call.result());
    Ok(())
}

fn list(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let ids: Vec<i64> = TIMERS.with_borrow(|timers| timers.all.keys().copied().collect());
    let mut found: ZBox<ZendHashTable> = ZendHashTable::new();
    for id in ids {
        let _ = found.push(id);
    }
    // SAFETY: a class that was declared, which PHP keeps as long as the process lives.
    let Some(class) = (unsafe { ITERATOR.get().as_ref() }) else { return Err(Thrown) };
    let mut list = Zval::new();
    list.set_hashtable(found);
    let mut iterator = ZendObject::new(class);
    iterator.try_call_method("__construct", vec![&list]).map_err(|_| Thrown)?;
    call.result().set_object(&mut iterator);
    Ok(())
}

fn stop(timer: Timer) {
    if let Some(worker) = current().and_then(|server| server.worker()) {
        let _ = worker.cancel(timer.engine);
    }
}

fn clear(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let id = call.long()?;
    let timer = TIMERS.with_borrow_mut(|timers| timers.all.remove(&id));
    let was_there = timer.is_some();
    if let Some(timer) = timer {
        stop(timer);
    }
    call.returns_bool(was_there)
}

fn clear_all(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let all = TIMERS.with_borrow_mut(|timers| std::mem::take(&mut timers.all));
    let had_some = !all.is_empty();
    all.into_values().for_each(stop);
    call.returns_bool(had_some)
}

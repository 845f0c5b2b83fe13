//! `ostler.so`: the Ostler server engine for programs of PHP, which know it as `Swoole\Server`.
//!
//! | where | what |
//! |---|---|
//! | `zend` | the own layer over PHP's API: calls, classes, callables, faults |
//! | `server` | `Server` and its ports: set up, started, driven by the engine |
//! | `constants` | the constants of the reference |
//! | `errors` | its codes of errors |
//! | `info` | what `php --ri ostler` says |
//! | `helpers`, `interfaces` | its functions that need no server |
//! | `timer` | `Timer` |
//! | `table` | `Table` |
//! | `atomic` | `Atomic`, `Atomic\Long` |
//! | `lock` | `Lock` |
//! | `process` | `Process`: processes of the program's own, and signals |
//!
//! A program's code runs in workers and in the companion, never in the master or the manager. How
//! the extension is built and why it is no member of the workspace is decision 63; what ends a
//! process of PHP's, and how, decision 64.

// In a debug build `php_module` adds a function without documentation.
#![cfg_attr(debug_assertions, allow(missing_docs))]

mod atomic;
mod constants;
mod error_texts;
mod errors;
mod helpers;
mod info;
mod interfaces;
mod lock;
mod process;
mod server;
mod table;
mod timer;
mod zend;

use ext_php_rs::builders::ModuleBuilder;
use ext_php_rs::ffi::{zend_ce_exception, zend_class_entry};
use ext_php_rs::prelude::php_module;

use zend::call::handler;
use zend::class::{Class, Function, function, kind, optional, required};

const FUNCTIONS: &[Function] = &[
    function(c"swoole_last_error", handler!(errors::last_error), &[], kind::INT),
    function(c"swoole_errno", handler!(errors::last_error), &[], kind::INT),
    function(c"swoole_clear_error", handler!(errors::clear_error), &[], kind::VOID),
    function(c"swoole_version", handler!(version), &[], kind::STRING),
    function(c"swoole_cpu_num", handler!(cpu_num), &[], kind::INT),
    function(
        c"swoole_set_process_name",
        handler!(process::name),
        &[required(c"process_name", kind::STRING)],
        kind::BOOL,
    ),
    function(
        c"swoole_strerror",
        handler!(error_texts::text),
        &[required(c"errno", kind::INT), optional(c"error_type", kind::INT, c"0")],
        kind::STRING,
    ),
];

/// `swoole_version(): string`: of the reference, because programs ask by it for what they may call.
fn version(call: &mut zend::call::Call<'_>) -> Result<(), zend::Thrown> {
    call.arguments(0, 0)?;
    let _ = call.result().set_string(constants::REFERENCE_VERSION, false);
    Ok(())
}

/// `swoole_cpu_num(): int`
fn cpu_num(call: &mut zend::call::Call<'_>) -> Result<(), zend::Thrown> {
    call.arguments(0, 0)?;
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    call.returns_long(i64::try_from(count).unwrap_or(1))
}

fn exception() -> *mut zend_class_entry {
    // SAFETY: PHP sets it before it loads modules.
    unsafe { zend_ce_exception }
}

/// Declares everything when PHP loads the module.
extern "C" fn start(_kind: i32, number: i32) -> i32 {
    let has_swoole_names = zend::process::takes_swoole_names();
    let alias = |class: Class, name: &str| match has_swoole_names {
        true => class.alias(name),
        false => class,
    };
    let base = Class::declare("Ostler\\Exception", exception(), &[]);
    server::CLASSES.exception.set(base.entry());
    let entry = base.entry();
    alias(base, "Swoole\\Exception");
    alias(Class::declare("Ostler\\ExitException", entry, &[]), "Swoole\\ExitException");
    server::declare(alias);
    timer::declare(alias);
    atomic::declare(alias);
    alias(table::declare(), "Swoole\\Table");
    alias(lock::declare(), "Swoole\\Lock");
    alias(process::declare(), "Swoole\\Process");
    zend::interrupt::install(process::signals::between_instructions);
    constants::declare(number, alias);
    if has_swoole_names {
        zend::class::declare_functions(FUNCTIONS);
        zend::class::declare_functions(helpers::FUNCTIONS);
        zend::class::declare_functions(timer::FUNCTIONS);
    }
    0
}

/// A request ends: PHP's memory goes.
extern "C" fn end_of_request(_kind: i32, _number: i32) -> i32 {
    process::signals::forget_all();
    0
}

/// The module, as PHP asks for it.
#[php_module]
pub fn module(module: ModuleBuilder) -> ModuleBuilder {
    module
        .name("ostler")
        .startup_function(start)
        .request_shutdown_function(end_of_request)
        .info_function(info::print)
}

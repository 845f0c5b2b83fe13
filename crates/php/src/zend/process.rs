//! The end of a process of PHP's that was forked, and what has to be set right at its beginning.

use std::cell::Cell;

use ext_php_rs::ffi::{
    cfg_get_long, module_registry, php_output_flush_all, sapi_module, zend_hash_str_find,
};

use ext_php_rs::zend::SapiGlobals;

use super::globals;

unsafe extern "C" {
    /// `main/php_main.h`, which the bindings do not read.
    fn php_request_shutdown(dummy: *mut std::ffi::c_void);
    /// `main/php_output.h`, as well.
    fn php_output_discard_all();
}

/// Whether PHP was started from a command line.
pub(crate) fn is_command_line() -> bool {
    // SAFETY: PHP sets its name before it loads modules; the text is a constant of its.
    let name = unsafe { std::ffi::CStr::from_ptr(sapi_module.name) };
    matches!(name.to_bytes(), b"cli" | b"micro" | b"phpdbg" | b"embed")
}

/// Whether classes and functions have the names of Swoole, too: unless that is loaded, or
/// `ostler.swoole_names=0` is set.
pub(crate) fn takes_swoole_names() -> bool {
    let mut wanted = 0;
    let name = c"ostler.swoole_names";
    let swoole = c"swoole";
    // SAFETY: names that end with zero, and a place for the number; PHP's list of modules. What is
    // not set answers with a failure and leaves zero.
    unsafe {
        let is_set = cfg_get_long(name.as_ptr(), &raw mut wanted) == 0;
        let modules = &raw mut module_registry;
        (wanted != 0 || !is_set)
            && zend_hash_str_find(modules, swoole.as_ptr(), swoole.count_bytes()).is_null()
    }
}

/// What the program is called: the name of its file, without directory and end, as far as a
/// server can have it as its name. None if the program is no file (`php -r`).
pub(crate) fn program_name() -> Option<String> {
    const CHARACTERS_MAX: usize = 32;
    let globals = SapiGlobals::get();
    let file = std::path::Path::new(globals.request_info().path_translated()?);
    let name = file.is_file().then(|| file.file_stem()).flatten()?.to_str()?;
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    Some(name.chars().map(kept).take(CHARACTERS_MAX).collect())
}

thread_local! {
    /// Whether the request of this process is over.
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
    /// Drops what this extension holds of PHP's, before PHP's memory is gone.
    static LAST_WORDS: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// What was printed before the fork is printed now: otherwise every process would print it.
pub(crate) fn flush_output() {
    // SAFETY: within a request, which runs.
    unsafe { php_output_flush_all() };
}

/// What was printed before the fork, and is not written yet, is the maker's to print.
pub(crate) fn discard_output() {
    // SAFETY: within a request, which runs.
    unsafe { php_output_discard_all() };
}

/// A process that was forked begins to run the program's code.
pub(crate) fn begin(last_words: fn()) {
    globals::forget_random_seeds();
    IS_OVER.set(false);
    LAST_WORDS.set(Some(last_words));
    // SAFETY: registers a function that lives as long as the process. When there is no room for it
    // the process ends without PHP's part of the end.
    unsafe { libc::atexit(at_exit) };
}

/// Ends this process with PHP's own part of the end.
pub(crate) fn end(code: i32) -> ! {
    globals::set_exit_status(code);
    std::process::exit(code)
}

/// PHP's part of the end of a process: shutdown functions, destructors, the end of output, the end
/// of the request in every extension. Where PHP has a code for the process, that counts.
extern "C" fn at_exit() {
    if IS_OVER.replace(true) {
        return;
    }
    if let Some(last_words) = LAST_WORDS.take() {
        last_words();
    }
    // SAFETY: this is the process's only thread, within a request that began before the fork and
    // is ended once. The frames of PHP that are still on the stack are never returned to.
    unsafe { php_request_shutdown(std::ptr::null_mut()) };
    let status = globals::exit_status();
    if status != 0 {
        // SAFETY: ends the process; output was flushed above.
        unsafe { libc::_exit(status) };
    }
}

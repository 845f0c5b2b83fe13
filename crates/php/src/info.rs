//! What `php --ri ostler` and `phpinfo()` say: what this is, how it was set up, and what each option
//! of the reference is here.

use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_header, info_table_row, info_table_start};

use crate::constants::REFERENCE_VERSION;
use crate::server::{engine_option_count, options_and_effects};
use crate::zend::process::takes_swoole_names;

/// Where options are explained, in a clone of the repository.
const PAGE: &str = "docs/php/OPTIONS.md";
const ENGINE_PAGE: &str = "docs/OPTIONS.md";

/// `php --ri ostler`
pub(crate) extern "C" fn print(_module: *mut ModuleEntry) {
    let names = match takes_swoole_names() {
        true => "own names and those of Swoole",
        false => "own names only",
    };
    info_table_start!();
    info_table_row!("version", env!("CARGO_PKG_VERSION"));
    info_table_row!("engine", "Ostler");
    info_table_row!("API of Swoole", REFERENCE_VERSION);
    info_table_row!("modes", "PROCESS, BASE");
    info_table_row!("sockets", "TCP, TCP6, UDP, UDP6, unix streams, unix datagrams, TLS");
    info_table_row!("not there", "HTTP, WebSocket, coroutines, threads");
    info_table_row!("ostler.swoole_names (php.ini, 0 or 1)", names);
    info_table_row!("options of Swoole", format!("below; explained in {PAGE}"));
    let engine = format!("{}, by their own names; {ENGINE_PAGE}", engine_option_count());
    info_table_row!("options of the engine", engine);
    info_table_end!();
    info_table_start!();
    info_table_header!("option of Swoole", "what it is here");
    for (name, effect) in options_and_effects() {
        info_table_row!(name, effect);
    }
    info_table_end!();
}

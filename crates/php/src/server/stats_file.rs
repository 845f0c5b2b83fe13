//! `stats_file`: the first worker writes what `stats` tells into a file, again and again.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::time::Duration;

use ext_php_rs::types::Zval;

use super::start::setting;
use super::state::{ServerState, slot};
use super::ticker::Ticker;
use super::{current, stats};
use crate::timer;
use crate::zend::function;
use crate::zend::message::warning;
use crate::zend::value::{Scalar, key_text};

/// How often it is written, milliseconds, unless the program says otherwise.
const INTERVAL_MS: i64 = 1_000;

/// This worker begins: it writes the file if that is for it to do.
pub(super) fn begin(server: &ServerState) {
    if server.worker_id() != Some(0) {
        return;
    }
    let settings = server.slot(slot::SETTING).array().unwrap_or_default();
    let path = settings.get("stats_file").and_then(|value| Scalar(value).text());
    let (Some(path), Some(ticker)) = (path.filter(|path| !path.is_empty()), Ticker::of(server))
    else {
        return;
    };
    let interval = setting(server, "stats_timer_interval").filter(|interval| *interval > 0);
    let interval = u64::try_from(interval.unwrap_or(INTERVAL_MS)).unwrap_or(1);
    let is_told = Cell::new(false);
    let id = timer::every(&ticker, Duration::from_millis(interval), move || {
        let Some(bytes) = current().and_then(|server| content(server, &path)) else { return };
        if let Err(error) = replace(&path, &bytes)
            && !is_told.replace(true)
        {
            warning(&format!("stats_file {path} cannot be written: {error}"));
        }
    });
    server.slot(slot::STATS_TIMER).set_long(id);
}

/// The figures in the form that the name of the file asks for.
fn content(server: &ServerState, path: &str) -> Option<Vec<u8>> {
    let mut figures = Zval::new();
    stats::figures(server)?.into(&mut figures);
    if path.ends_with(".json") {
        let text = function::call("json_encode", vec![figures])?;
        return Some(text.zend_str()?.as_bytes().to_vec());
    }
    if path.ends_with(".php") {
        let mut is_wanted = Zval::new();
        is_wanted.set_bool(true);
        let text = function::call("var_export", vec![figures, is_wanted])?;
        return Some([b"<?php\nreturn ", text.zend_str()?.as_bytes(), b";\n"].concat());
    }
    let line = |(key, value): (_, &Zval)| {
        let (key, value) = (key_text(&key)?, Scalar(value).text()?);
        Some(format!("{key}: {value}\n"))
    };
    Some(figures.array()?.iter().filter_map(line).collect::<String>().into_bytes())
}

/// Readers see the file of before or that of now, and never half of one. What lies beside it under
/// the name of the new one is removed and not followed: it may be a link of somebody else's.
fn replace(path: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = format!("{path}.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(&beside)?.write_all(bytes)?;
    fs::rename(&beside, path)
}

//! Options of the reference that mean something together with others.

use ext_php_rs::types::ZendHashTable;

use super::{Engine, Problem};
use crate::server::state::Mode;
use crate::zend::value::Scalar;

/// What a program has set, by name.
pub(super) struct Settings<'a>(pub(super) &'a ZendHashTable);

impl<'a> Settings<'a> {
    fn get(&self, name: &str) -> Option<Scalar<'a>> {
        self.0.get(name).filter(|value| !value.is_null()).map(Scalar)
    }

    fn first(&self, names: &[&str]) -> Option<Scalar<'a>> {
        names.iter().find_map(|name| self.get(name))
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.is_true())
    }
}

/// All of them, in any order.
pub(super) fn translate(
    settings: &Settings<'_>,
    mode: Mode,
    engine: &mut Engine,
) -> Result<(), Problem> {
    processes(settings, mode, engine);
    budget(settings, mode, engine);
    dispatch(settings, mode, engine);
    sockets(settings, engine);
    buffers(settings, engine)?;
    framing(settings, engine)?;
    heartbeat(settings, engine);
    log(settings, engine);
    tls(settings, engine)?;
    certificates(settings, engine)
}

fn processes(settings: &Settings<'_>, mode: Mode, engine: &mut Engine) {
    let reactors = settings.get("reactor_num").map(|value| value.long()).filter(|it| *it > 0);
    if settings.is_on("single_thread") {
        engine.say("reactors", "1");
    } else if let Some(reactors) = reactors {
        engine.say("reactors", reactors.min(64));
    }
    // One process serves in BASE mode unless more are asked for.
    if mode == Mode::Base && settings.get("worker_num").is_none() {
        engine.say("workers", "1");
    }
    if settings.is_on("daemonize") {
        engine.say("daemonize", "true");
        if settings.get("log_file").is_none() {
            engine.say("log_file", "/dev/null");
        }
    }
    if let Some(most) = settings.first(&["max_connection", "max_conn"]).map(|value| value.long())
        && most > 0
    {
        engine.say("max_connections", most.min(1 << 20));
    }
    if let Some(wait) = settings.get("max_wait_time") {
        let wait = wait.long().clamp(0, 86_400) * 1_000;
        engine.say("drain_timeout_ms", wait);
        engine.say("shutdown_timeout_ms", wait.saturating_mul(2).min(86_400_000));
    }
}

/// In BASE mode the processes have parts of the budget, and what is longest has to fit into each.
fn budget(settings: &Settings<'_>, mode: Mode, engine: &mut Engine) {
    if mode == Mode::Process || settings.get("memory_budget").is_some() {
        return;
    }
    let sizes = ["output_buffer_size", "buffer_output_size", "package_max_length"];
    let asked = sizes.iter().filter_map(|name| settings.get(name)?.size()).max();
    let longest = asked.unwrap_or(0).clamp(2 << 20, 64 << 20);
    let workers = settings.get("worker_num").map_or(1, |value| value.long()).clamp(1, 1_024);
    let needed = longest * (workers + 1);
    if needed > 64 << 20 {
        engine.say("memory_budget", needed);
    }
}

/// Numbers are those of `SWOOLE_DISPATCH_*`.
fn dispatch(settings: &Settings<'_>, mode: Mode, engine: &mut Engine) {
    let number = settings.get("dispatch_mode").map_or(2, |value| value.long());
    let (name, is_hash) = match number {
        1 => ("round_robin", false),
        2 => ("session_hash", true),
        4 => ("address_hash", true),
        5 => ("user_id", true),
        8 => ("sticky", true),
        9 | 10 => ("least_in_hand", false),
        _ => ("idle_first", false),
    };
    let by_function = settings.get("dispatch_func").is_some();
    if mode == Mode::Process {
        engine.say("dispatch", if by_function { "user_function" } else { name });
    }
    if !is_hash && !by_function && !settings.is_on("enable_unsafe_event") && mode == Mode::Process {
        engine.say("connect_events", "false");
    }
}

fn sockets(settings: &Settings<'_>, engine: &mut Engine) {
    // The engine probes clients unless it is told not to; Swoole does not unless it is told to.
    engine.say("tcp_keepalive", settings.is_on("open_tcp_keepalive"));
    if settings.is_on("tcp_fastopen") {
        engine.say("tcp_fastopen", "128");
    }
}

/// What waits for a client in the server before `send` is false, when nothing is said: as Swoole's
/// manual has it.
const SOCKET_BUFFER_SIZE: i64 = 2 << 20;

fn buffers(settings: &Settings<'_>, engine: &mut Engine) -> Result<(), Problem> {
    let size = |name| match settings.get(name) {
        Some(value) => match value.size() {
            Some(size) => Ok(Some(size.clamp(1 << 10, 1 << 29))),
            None => Err(Problem::fatal(format!("the size of {name} is malformed"))),
        },
        None => Ok(None),
    };
    // Programs send megabytes in a loop; the engine's own default is for replies of common size.
    let engines = ["send_queue_high", "send_queue_low", "send_queue_max"];
    let is_left = engines.into_iter().all(|name| settings.get(name).is_none());
    let high = match (size("buffer_high_watermark")?, size("socket_buffer_size")?) {
        (Some(mark), _) | (None, Some(mark)) => Some(mark),
        (None, None) => is_left.then_some(SOCKET_BUFFER_SIZE),
    };
    if let Some(high) = high {
        engine.say("send_queue_high", high);
        engine.say("send_queue_max", (high * 2).max(1 << 20));
    }
    let low = match (size("buffer_low_watermark")?, high) {
        (Some(low), Some(high)) => Some(low.min(high)),
        (None, Some(high)) => Some(high.min(64 << 10)),
        (low, None) => low.map(|low| low.min(256 << 10)),
    };
    if let Some(low) = low {
        engine.say("send_queue_low", low);
    }
    Ok(())
}

/// One framing counts, in this order.
fn framing(settings: &Settings<'_>, engine: &mut Engine) -> Result<(), Problem> {
    let kind = if settings.is_on("open_eof_split") {
        "eof"
    } else if settings.is_on("open_eof_check") {
        "eof_at_end"
    } else if settings.is_on("open_length_check") {
        // A function of the program reads the bytes as they come.
        if settings.get("package_length_func").is_some() { "stream" } else { "length" }
    } else if settings.is_on("open_mqtt_protocol") {
        "mqtt"
    } else if settings.is_on("open_redis_protocol") {
        "resp"
    } else if settings.get("framing").is_some() {
        // The engine's own word counts.
        return Ok(());
    } else {
        "raw"
    };
    engine.say("framing", kind);
    let eof = settings.get("package_eof");
    match eof.as_ref().map(|eof| eof.bytes().unwrap_or_default()) {
        Some([]) => return Err(Problem::fatal("package_eof cannot be an empty string".into())),
        Some(bytes) if bytes.len() > 8 => {
            return Err(Problem::fatal("package_eof max length is 8".into()));
        }
        Some(bytes) => engine.say("package_eof", escaped(bytes)),
        None if kind.starts_with("eof") => engine.say("package_eof", escaped(b"\r\n\r\n")),
        None => {}
    }
    const OFFSET_MAX: i64 = 8_152;
    let offsets = ["package_length_offset", "package_body_offset", "package_body_start"];
    let is_far = |name: &&str| settings.get(name).is_some_and(|value| value.long() > OFFSET_MAX);
    if let Some(name) = offsets.iter().find(|name| is_far(name)) {
        return Err(Problem::fatal(format!("'{name}' value is too large")));
    }
    if let Some(letter) = settings.get("package_length_type") {
        let letter = letter.text().unwrap_or_default();
        let known = ["c", "C", "s", "S", "n", "v", "l", "L", "N", "V", "q", "Q", "J", "P"];
        if !known.contains(&letter.as_str()) {
            return Err(Problem::fatal(format!("unknown package_length_type '{letter}'")));
        }
        engine.say("package_length_type", letter);
    }
    Ok(())
}

/// As the engine reads delimiters.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// A port without a time of its own is looked at as often as the server says.
pub(super) fn inherit_heartbeat(own: &Settings<'_>, server: &Settings<'_>, engine: &mut Engine) {
    let has_own = ["heartbeat_idle_time", "heartbeat_check_interval"];
    let interval = server.get("heartbeat_check_interval").map_or(0, |value| value.long());
    if interval > 0 && has_own.iter().all(|name| own.get(name).is_none()) {
        engine.say("silence_timeout_ms", interval.min(65_535) * 2 * 1_000);
    }
}

fn heartbeat(settings: &Settings<'_>, engine: &mut Engine) {
    let seconds = |name| settings.get(name).map(|value| value.long().clamp(0, 65_535));
    let idle = seconds("heartbeat_idle_time").filter(|idle| *idle > 0);
    let interval = seconds("heartbeat_check_interval").filter(|interval| *interval > 0);
    if let Some(silence) = idle.or_else(|| interval.map(|interval| interval * 2)) {
        engine.say("silence_timeout_ms", silence * 1_000);
    }
}

/// The engine has its levels as words, PHP programs have them as numbers.
fn log(settings: &Settings<'_>, engine: &mut Engine) {
    let Some(level) = settings.get("log_level") else { return };
    if let Some(word) = level.bytes().map(crate::zend::call::text)
        && word.parse::<i64>().is_err()
    {
        return engine.say("log_level", word);
    }
    let word = match level.long() {
        ..=0 => "debug",
        1 => "trace",
        2 | 3 => "info",
        4 => "warn",
        _ => "error",
    };
    engine.say("log_level", word);
}

fn tls(settings: &Settings<'_>, engine: &mut Engine) -> Result<(), Problem> {
    // Without it authorities mean nothing, as there; the engine would ask why they are named.
    if settings.is_on("ssl_verify_peer") {
        engine.say("tls_client_auth", "required");
        let names = ["ssl_client_cert_file", "ssl_cafile", "ssl_capath"];
        let authorities = names.iter().filter_map(|name| settings.get(name)?.text());
        let authorities: Vec<_> = authorities.collect();
        if !authorities.is_empty() {
            engine.say("tls_client_ca", authorities.join(","));
        }
    }
    // `SWOOLE_SSL_TLSv1_2`, `SWOOLE_SSL_TLSv1_3`; 0 is all of them.
    const TLS_1_2: i64 = 1 << 5;
    const TLS_1_3: i64 = 1 << 6;
    let protocols = settings.get("ssl_protocols").map_or(0, |value| value.long());
    match protocols & (TLS_1_2 | TLS_1_3) {
        TLS_1_3 => engine.say("tls_min_version", "1.3"),
        0 if protocols != 0 => {
            return Err(Problem::fatal("ssl_protocols names neither TLS 1.2 nor 1.3".into()));
        }
        _ => {}
    }
    Ok(())
}

/// The certificate of the port, and those of other names: the engine shows a client the one that
/// has the name that it asks for.
fn certificates(settings: &Settings<'_>, engine: &mut Engine) -> Result<(), Problem> {
    let text = |value: Option<Scalar<'_>>| value.and_then(|value| value.text());
    let mut certificates = Vec::from_iter(text(settings.get("ssl_cert_file")));
    let mut keys = Vec::from_iter(text(settings.get("ssl_key_file")));
    if let Some(names) = settings.get("ssl_sni_certs") {
        let wrong = || Problem::fatal("ssl_sni_certs must be [host => [files]]".into());
        for (_, files) in names.0.array().ok_or_else(wrong)? {
            let files = Settings(files.array().ok_or_else(wrong)?);
            certificates.push(text(files.get("ssl_cert_file")).ok_or_else(wrong)?);
            keys.extend(text(files.get("ssl_key_file")));
        }
    }
    for (name, paths) in [("tls_certificate", certificates), ("tls_key", keys)] {
        if !paths.is_empty() {
            engine.say(name, paths.join(","));
        }
    }
    Ok(())
}

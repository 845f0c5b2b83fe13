//! Every option has a method, which hands its value on.

use super::*;
use crate::options::Options;
use std::collections::BTreeSet;

fn get(builder: &ServerBuilder, name: &str) -> String {
    builder.layers.resolve().unwrap().options.get(name).unwrap()
}

#[test]
fn every_option_has_a_typed_method() {
    let others = [
        "listen",
        "unix_mode",
        "proxy_protocol_from",
        "name",
        "user",
        "group",
        "groups",
        "chroot",
        "capabilities",
        "master_user",
        "master_group",
        "cpu_affinity",
        "nice",
        "oom_score_adjust",
        "limit_open_files",
        "limit_core_size",
        "limit_address_space",
        "framing",
        "package_eof",
        "log_file",
        "request_slowlog_file",
        "death_log_file",
        "quarantine_dir",
        "task_journal",
        "operator_socket",
        "pid_file",
        "program",
    ];
    let length = ["package_length_type", "package_length_offset", "package_body_offset"];
    let tls = [
        "tls_certificate",
        "tls_key",
        "tls_ocsp",
        "tls_client_ca",
        "tls_client_auth",
        "tls_client_chain_max",
        "tls_alpn",
        "tls_min_version",
        "tls_tickets",
        "tls_unknown_name",
    ];
    let typed: BTreeSet<&str> = SET_FOR_SERVER
        .iter()
        .chain(SET_FOR_PORTS)
        .copied()
        .chain(others)
        .chain(length)
        .chain(tls)
        .collect();
    let known: BTreeSet<&str> = Options::table().iter().map(|info| info.name).collect();
    assert_eq!(typed, known, "add a method to `setters!`");
}

#[test]
fn typed_values_arrive() {
    let builder = ServerBuilder::default()
        .dispatch(Dispatch::SessionHash)
        .crash_policy(CrashPolicy::Redeliver(3))
        .framing(Framing::delimited(b"\0\x1e"))
        .log_level(LogLevel::Debug)
        .drain_timeout(Duration::from_secs(30))
        .prefetch(Duration::from_micros(250))
        .memory_budget(64 << 20)
        .tcp_nodelay(false)
        .log_file("a b")
        .pid_file("c d")
        .operator_socket("e f")
        .program("/srv/chat")
        .max_requests(7);
    for (name, value) in [
        ("dispatch", "session_hash"),
        ("crash_policy", "redeliver:3"),
        ("framing", "eof"),
        ("package_eof", "\\0\\x1e"),
        ("log_level", "debug"),
        ("drain_timeout_ms", "30000"),
        ("prefetch_us", "250"),
        ("memory_budget", "64M"),
        ("tcp_nodelay", "false"),
        ("log_file", "a b"),
        ("pid_file", "c d"),
        ("operator_socket", "e f"),
        ("program", "/srv/chat"),
        ("max_requests", "7"),
    ] {
        assert_eq!(get(&builder, name), value, "{name}");
    }
    assert_eq!(get(&builder.framing(Framing::raw()), "framing"), "raw");
}

#[test]
fn typed_values_have_the_same_limits_and_are_all_told() {
    let wrong = ServerBuilder::default()
        .workers(0)
        .drain_timeout(Duration::from_micros(1_500))
        .send_timeout(Duration::MAX)
        .framing(Framing::delimited(b""));
    let text = wrong.layers.resolve().unwrap_err().to_string();
    for words in [
        "4 options are wrong",
        "`workers` cannot be `0`: it is 1 to 1024",
        "`drain_timeout_ms` cannot be `1500us`: it is not a whole number of milliseconds",
        "`send_timeout_ms`",
        "`package_eof`",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
}

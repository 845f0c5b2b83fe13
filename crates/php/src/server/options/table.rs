//! The options of the reference (Swoole's names), and what each is for the engine.

/// What an option is for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A number, cut to these limits, of the engine's option; 0 leaves that as it is.
    Count(&'static str, i64, i64),
    /// The same, but 0 is a value.
    Number(&'static str, i64, i64),
    /// True or false.
    Flag(&'static str),
    /// A number of bytes, also with K, M or G behind it, cut to these limits.
    Size(&'static str, i64, i64),
    /// Seconds, also with a fraction, of an option in milliseconds that has so many at most.
    Seconds(&'static str, i64),
    /// A text.
    Text(&'static str),
    /// It means something together with others: `combined.rs`.
    Combined,
    /// It is accepted and has no effect; the reason stands in docs/php/OPTIONS.md.
    NoEffect,
    /// It asks for what the extension does not have: a warning says so.
    Missing,
}

use Form::{Combined, Count, Flag, Missing, NoEffect, Number, Seconds, Size, Text};

impl Form {
    /// In a few words, for `php --ri ostler`.
    pub(crate) fn describe(self) -> String {
        match self {
            Count(engine, ..) | Number(engine, ..) | Size(engine, ..) => {
                format!("{engine} of the engine")
            }
            Flag(engine) | Text(engine) => format!("{engine} of the engine"),
            Seconds(engine, _) => format!("{engine} of the engine, from seconds"),
            Combined => "has its effect together with others".to_owned(),
            NoEffect => "accepted, without effect".to_owned(),
            Missing => "not yet: a warning".to_owned(),
        }
    }
}

const K: i64 = 1 << 10;
const M: i64 = 1 << 20;
const G: i64 = 1 << 30;
const DAY_MS: i64 = 86_400_000;

/// Each option by its name.
pub(crate) const ROWS: &[(&str, Form)] = &[
    // Processes.
    ("reactor_num", Combined),
    ("worker_num", Count("workers", 1, 1024)),
    ("task_worker_num", Count("task_workers", 1, 1024)),
    ("single_thread", Combined),
    ("daemonize", Combined),
    ("pid_file", Text("pid_file")),
    ("user", Text("user")),
    ("group", Text("group")),
    ("chroot", Text("chroot")),
    ("open_cpu_affinity", NoEffect),
    ("cpu_affinity_ignore", NoEffect),
    ("enable_reuse_port", Flag("reuse_port")),
    ("message_queue_key", Combined),
    ("enable_coroutine", Combined),
    ("max_coroutine", NoEffect),
    ("max_coro_num", NoEffect),
    ("hook_flags", NoEffect),
    ("enable_preemptive_scheduler", NoEffect),
    ("enable_deadlock_check", NoEffect),
    ("c_stack_size", NoEffect),
    ("stack_size", NoEffect),
    ("name_resolver", NoEffect),
    ("aio_core_worker_num", NoEffect),
    ("aio_worker_num", NoEffect),
    ("aio_max_wait_time", NoEffect),
    ("aio_max_idle_time", NoEffect),
    ("enable_signalfd", NoEffect),
    // Dispatch.
    ("dispatch_mode", Combined),
    ("dispatch_func", Combined),
    ("discard_timeout_request", Flag("discard_gone_packages")),
    ("enable_unsafe_event", Combined),
    ("enable_delay_receive", Flag("accept_confirm")),
    ("max_concurrency", NoEffect),
    ("worker_max_concurrency", NoEffect),
    ("start_session_id", Number("start_session_id", 0, (1 << 48) - 1)),
    // Sockets.
    ("backlog", Count("backlog", 1, 65_535)),
    ("open_tcp_nodelay", Flag("tcp_nodelay")),
    ("open_tcp_keepalive", Combined),
    ("tcp_keepidle", Count("tcp_keepalive_idle", 1, 32_767)),
    ("tcp_keepinterval", Count("tcp_keepalive_interval", 1, 32_767)),
    ("tcp_keepcount", Count("tcp_keepalive_count", 1, 127)),
    ("tcp_user_timeout", Number("tcp_user_timeout_ms", 0, 86_400_000)),
    ("tcp_defer_accept", Number("tcp_defer_accept", 0, 3_600)),
    ("tcp_fastopen", Combined),
    ("socket_buffer_size", Combined),
    ("kernel_socket_recv_buffer_size", Size("socket_receive_buffer", 4 * K, G)),
    ("kernel_socket_send_buffer_size", Size("socket_send_buffer", 4 * K, G)),
    ("max_idle_time", Seconds("idle_timeout_ms", 30 * DAY_MS)),
    ("socket_dns_timeout", NoEffect),
    ("socket_connect_timeout", NoEffect),
    ("socket_read_timeout", NoEffect),
    ("socket_recv_timeout", NoEffect),
    ("socket_write_timeout", NoEffect),
    ("socket_send_timeout", NoEffect),
    ("socket_timeout", NoEffect),
    ("dns_server", NoEffect),
    // Framing.
    ("open_eof_check", Combined),
    ("open_eof_split", Combined),
    ("package_eof", Combined),
    ("open_length_check", Combined),
    ("package_length_type", Combined),
    ("package_length_offset", Number("package_length_offset", 0, 8_152)),
    ("package_body_offset", Number("package_body_offset", 0, 8_152)),
    ("package_body_start", Number("package_body_offset", 0, 8_152)),
    ("package_length_func", Combined),
    ("package_max_length", Size("package_max_length", 64 * K, 64 * M)),
    ("open_mqtt_protocol", Combined),
    ("open_redis_protocol", Combined),
    ("open_http_protocol", Missing),
    ("open_http2_protocol", Missing),
    ("open_websocket_protocol", Missing),
    // Buffers.
    ("output_buffer_size", Size("max_send_bytes", K, 64 * M)),
    ("buffer_output_size", Size("max_send_bytes", K, 64 * M)),
    ("input_buffer_size", NoEffect),
    ("buffer_input_size", NoEffect),
    ("buffer_high_watermark", Combined),
    ("buffer_low_watermark", Combined),
    ("max_queued_bytes", NoEffect),
    ("send_yield", NoEffect),
    ("send_timeout", Seconds("send_timeout_ms", 600_000)),
    // Tasks.
    ("task_ipc_mode", NoEffect),
    ("task_max_request", Number("task_max_requests", 0, 1_000_000_000_000)),
    ("task_max_request_grace", NoEffect),
    ("task_tmpdir", NoEffect),
    ("task_use_object", Combined),
    ("task_object", Combined),
    ("task_enable_coroutine", Combined),
    ("event_object", Combined),
    // Reload and shutdown.
    ("reload_async", NoEffect),
    ("max_wait_time", Combined),
    ("max_request", Number("max_requests", 0, 1_000_000_000_000)),
    ("max_request_grace", NoEffect),
    // Limits.
    ("max_connection", Combined),
    ("max_conn", Combined),
    // Log.
    ("log_file", Text("log_file")),
    ("log_level", Combined),
    ("log_rotation", NoEffect),
    ("log_date_format", NoEffect),
    ("log_date_with_microseconds", NoEffect),
    ("trace_flags", NoEffect),
    ("debug_mode", NoEffect),
    ("print_backtrace_on_error", NoEffect),
    ("display_errors", NoEffect),
    ("stats_file", Combined),
    ("stats_timer_interval", Combined),
    ("admin_server", Missing),
    ("request_slowlog_file", Text("request_slowlog_file")),
    ("request_slowlog_timeout", Seconds("request_slowlog_timeout_ms", DAY_MS)),
    ("trace_event_worker", NoEffect),
    // Heartbeat, TLS.
    ("heartbeat_check_interval", Combined),
    ("heartbeat_idle_time", Combined),
    ("ssl_cert_file", Combined),
    ("ssl_key_file", Combined),
    ("ssl_protocols", Combined),
    ("ssl_ciphers", NoEffect),
    ("ssl_verify_peer", Combined),
    ("ssl_allow_self_signed", NoEffect),
    ("ssl_client_cert_file", Combined),
    ("ssl_cafile", Combined),
    ("ssl_capath", Combined),
    ("ssl_verify_depth", NoEffect),
    ("ssl_compress", NoEffect),
    ("ssl_prefer_server_ciphers", NoEffect),
    ("ssl_ecdh_curve", NoEffect),
    ("ssl_dhparam", NoEffect),
    ("ssl_sni_certs", Combined),
    // Threads, which this extension has none of.
    ("bootstrap", NoEffect),
    ("init_arguments", NoEffect),
    ("iouring_entries", NoEffect),
    ("iouring_workers", NoEffect),
    ("iouring_flag", NoEffect),
    // HTTP and WebSocket.
    ("http_parse_cookie", Missing),
    ("http_parse_post", Missing),
    ("http_parse_files", Missing),
    ("http_compression", Missing),
    ("http_compression_level", Missing),
    ("compression_level", Missing),
    ("http_gzip_level", Missing),
    ("compression_min_length", Missing),
    ("http_compression_types", Missing),
    ("upload_tmp_dir", Missing),
    ("upload_max_filesize", Missing),
    ("enable_static_handler", Missing),
    ("document_root", Missing),
    ("static_handler_locations", Missing),
    ("http_autoindex", Missing),
    ("http_index_files", Missing),
    ("url_rewrite_rules", Missing),
    ("http2_header_table_size", Missing),
    ("http2_enable_push", Missing),
    ("http2_max_concurrent_streams", Missing),
    ("http2_init_window_size", Missing),
    ("http2_max_frame_size", Missing),
    ("http2_max_header_list_size", Missing),
    ("http2_max_headers", Missing),
    ("websocket_subprotocol", Missing),
    ("websocket_mask", Missing),
    ("websocket_compression", Missing),
    ("open_websocket_close_frame", Missing),
    ("open_websocket_ping_frame", Missing),
    ("open_websocket_pong_frame", Missing),
];

/// The option of this name.
pub(crate) fn find(name: &str) -> Option<Form> {
    ROWS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
}

/// A known name that a wrong one may have been meant for.
pub(crate) fn similar(name: &str) -> Option<&'static str> {
    let own = ROWS.iter().map(|(known, _)| *known);
    let engine = ostler::Options::table().iter().map(|info| info.name);
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let nearest = own.chain(engine).min_by_key(distance)?;
    (distance(&nearest) <= 1 + name.len() / 5).then_some(nearest)
}

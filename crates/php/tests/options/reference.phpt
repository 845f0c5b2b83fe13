--TEST--
Each option of the reference is known, of a server and of a port, and one that it does not have is not
--FILE--
<?php
$names = preg_split('/\s+/', trim('
    reactor_num worker_num task_worker_num single_thread daemonize pid_file user group chroot
    open_cpu_affinity cpu_affinity_ignore enable_reuse_port message_queue_key enable_coroutine max_coroutine
    max_coro_num hook_flags enable_preemptive_scheduler enable_deadlock_check c_stack_size stack_size
    name_resolver aio_core_worker_num aio_worker_num aio_max_wait_time aio_max_idle_time enable_signalfd
    bootstrap init_arguments dispatch_mode dispatch_func discard_timeout_request enable_unsafe_event
    enable_delay_receive max_concurrency worker_max_concurrency start_session_id backlog open_tcp_nodelay
    open_tcp_keepalive tcp_keepidle tcp_keepinterval tcp_keepcount tcp_user_timeout tcp_defer_accept
    tcp_fastopen socket_buffer_size kernel_socket_recv_buffer_size kernel_socket_send_buffer_size
    max_idle_time socket_dns_timeout socket_connect_timeout send_timeout socket_timeout dns_server
    open_eof_check open_eof_split package_eof open_length_check package_length_type package_length_offset
    package_body_offset package_body_start package_length_func package_max_length open_mqtt_protocol
    open_redis_protocol open_http_protocol open_http2_protocol open_websocket_protocol output_buffer_size
    buffer_output_size input_buffer_size buffer_input_size buffer_high_watermark buffer_low_watermark
    max_queued_bytes send_yield task_ipc_mode task_max_request task_max_request_grace task_tmpdir
    task_use_object task_object task_enable_coroutine reload_async max_wait_time max_request max_request_grace
    max_connection max_conn log_file log_level log_rotation log_date_format log_date_with_microseconds
    trace_flags debug_mode print_backtrace_on_error display_errors stats_file stats_timer_interval
    admin_server request_slowlog_file request_slowlog_timeout trace_event_worker heartbeat_check_interval
    heartbeat_idle_time ssl_cert_file ssl_key_file ssl_protocols ssl_ciphers ssl_verify_peer
    ssl_allow_self_signed ssl_client_cert_file ssl_cafile ssl_capath ssl_verify_depth ssl_compress
    ssl_prefer_server_ciphers ssl_ecdh_curve ssl_dhparam ssl_sni_certs socket_read_timeout socket_recv_timeout
    socket_write_timeout socket_send_timeout event_object http_parse_cookie http_parse_post http_parse_files
    http_compression http_compression_level compression_level http_gzip_level compression_min_length
    http_compression_types upload_tmp_dir upload_max_filesize enable_static_handler document_root
    static_handler_locations http_autoindex http_index_files url_rewrite_rules http2_header_table_size
    http2_enable_push http2_max_concurrent_streams http2_init_window_size http2_max_frame_size
    http2_max_header_list_size http2_max_headers websocket_subprotocol websocket_mask websocket_compression
    open_websocket_close_frame open_websocket_ping_frame open_websocket_pong_frame
'));
$server = new Swoole\Server('127.0.0.1', 0);
$port = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$warned = [];
set_error_handler(function (int $level, string $text) use (&$warned) {
    $warned[] = $text;
    str_contains($text, 'unsupported') && ($level === E_USER_WARNING || print("the level is $level\n"));
    return true;
});
foreach ($names as $name) {
    defined('Swoole\Constant::OPTION_' . strtoupper($name)) || print("$name has no constant\n");
    $warned = [];
    $server->set([$name => 1]);
    $port->set([$name => 1]);
    // What it has no effect on yet is told, by both.
    $is_told = count($warned) === 2 && str_contains($warned[0], "the option [$name] has no effect yet");
    $warned === [] || $is_told || print(implode("\n", $warned) . "\n");
}
$warned = [];
$server->set(['pipe_buffer_size' => 1]);
$port->set(['worker_nun' => 1]);
echo implode("\n", $warned), "\n", count($names) > 120 ? 'done' : count($names), "\n";
?>
--EXPECT--
Ostler\Server::set(): unsupported option [pipe_buffer_size], did you mean [input_buffer_size]?
Ostler\Server\Port::set(): unsupported option [worker_nun], did you mean [worker_num]?
done

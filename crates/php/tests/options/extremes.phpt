--TEST--
Numbers out of any range are cut, and the server serves, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

// Not those that would make as many processes or threads, and those whose least value leaves no time to serve.
$sizes = ['socket_buffer_size', 'kernel_socket_recv_buffer_size', 'kernel_socket_send_buffer_size', 'package_max_length',
    'output_buffer_size', 'buffer_output_size', 'buffer_high_watermark', 'buffer_low_watermark'];
$numbers = ['backlog', 'tcp_keepidle', 'tcp_keepinterval', 'tcp_keepcount', 'tcp_user_timeout', 'tcp_defer_accept', 'start_session_id',
    'max_connection', 'max_conn', 'heartbeat_idle_time',
    'heartbeat_check_interval', 'max_idle_time', 'send_timeout', 'request_slowlog_timeout', 'dispatch_mode', 'stats_timer_interval',
    'task_max_request'];
$values = [PHP_INT_MAX, PHP_INT_MIN, -1, 0, 'x', true, 1e300, '9223372036854775807', null];
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    foreach ($values as $value) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $settings = array_fill_keys($numbers, $value) + array_fill_keys($sizes, is_string($value) ? '8G' : $value);
        $server->set(['worker_num' => 1, 'open_tcp_keepalive' => true, 'max_wait_time' => 10] + $settings);
        is_numeric($value) || $server->set(['max_idle_time' => 0, 'heartbeat_idle_time' => 0, 'heartbeat_check_interval' => 0]);
        $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
        run($server, function (Client $client) use ($value) {
            $client->ask('x') === 'x' || print("not served\n");
        }, ['all places are taken', 'is lowered to']);
    }
}
echo "done\n";
?>
--EXPECT--
done

--TEST--
Options of sockets, as the kernel has them, in both modes
--EXTENSIONS--
ffi
--SKIPIF--
<?php
require __DIR__ . '/../include/kernel.php';
may_look() || die('skip the sockets of other processes may not be looked at');
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/kernel.php';

// Level, name, place in the answer.
$listener = [
    'backlog' => [6, 11, 7],
    'tcp_defer_accept' => [6, 9, 0],
    'tcp_fastopen' => [6, 23, 0],
    'enable_reuse_port' => [1, 15, 0],
];
$accepted = [
    'open_tcp_nodelay' => [6, 1, 0],
    'open_tcp_keepalive' => [1, 9, 0],
    'tcp_keepidle' => [6, 4, 0],
    'tcp_keepinterval' => [6, 5, 0],
    'tcp_keepcount' => [6, 6, 0],
    'tcp_user_timeout' => [6, 18, 0],
    'kernel_socket_recv_buffer_size' => [1, 8, 0],
    'kernel_socket_send_buffer_size' => [1, 7, 0],
];
$settings = [
    'backlog' => 77,
    'tcp_defer_accept' => 5,
    'tcp_fastopen' => true,
    'enable_reuse_port' => true,
    'open_tcp_nodelay' => false,
    'open_tcp_keepalive' => true,
    'tcp_keepidle' => 51,
    'tcp_keepinterval' => 7,
    'tcp_keepcount' => 3,
    'tcp_user_timeout' => 9000,
    'kernel_socket_recv_buffer_size' => '20K',
    'kernel_socket_send_buffer_size' => 24576,
];

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'harden' => 'off'] + $settings);
    $plain = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $plain->set([]);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
    run($server, function () use ($server, $mode, $listener, $accepted) {
        $found = array_map(function (object $port) use ($listener, $accepted) {
            $client = stream_socket_client(address_of($port));
            fwrite($client, "x\n");
            fgets($client);
            $own = (int) substr(strrchr(stream_socket_get_name($client, false), ':'), 1);
            return socket_options($port->port, 0, $listener) + socket_options($port->port, $own, $accepted);
        }, $server->ports);
        echo $mode === SWOOLE_BASE ? 'BASE' : 'PROCESS', "\n";
        foreach ($found[0] as $name => $value) {
            $is_size = str_starts_with($name, 'kernel_');
            // The kernel doubles sizes, and counts seconds by the times that it tries again. What it has by itself is its own.
            $is_others = $is_size || str_starts_with($name, 'tcp_keep');
            $plain = $is_others && $found[1][$name] !== $value ? 'by itself' : $found[1][$name];
            echo "$name: ", $name === 'tcp_defer_accept' ? ($value >= 5 ? 'at least 5' : $value) : ($is_size ? $value / 2 : $value), ", not $plain\n";
        }
    });
}
?>
--EXPECT--
PROCESS
backlog: 77, not 512
tcp_defer_accept: at least 5, not 0
tcp_fastopen: 128, not 0
enable_reuse_port: 1, not 0
open_tcp_nodelay: 0, not 1
open_tcp_keepalive: 1, not 0
tcp_keepidle: 51, not by itself
tcp_keepinterval: 7, not by itself
tcp_keepcount: 3, not by itself
tcp_user_timeout: 9000, not 120000
kernel_socket_recv_buffer_size: 20480, not by itself
kernel_socket_send_buffer_size: 24576, not by itself
BASE
backlog: 77, not 512
tcp_defer_accept: at least 5, not 0
tcp_fastopen: 128, not 0
enable_reuse_port: 1, not 0
open_tcp_nodelay: 0, not 1
open_tcp_keepalive: 1, not 0
tcp_keepidle: 51, not by itself
tcp_keepinterval: 7, not by itself
tcp_keepcount: 3, not by itself
tcp_user_timeout: 9000, not 120000
kernel_socket_recv_buffer_size: 20480, not by itself
kernel_socket_send_buffer_size: 24576, not by itself

--TEST--
Ports of other kinds ignore what they cannot use of what the server was set to (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set([
    'worker_num' => 1,
    'backlog' => 77,
    'max_idle_time' => 600,
    'heartbeat_idle_time' => 600,
    'open_tcp_keepalive' => true,
    'tcp_keepidle' => 50,
    'tcp_fastopen' => true,
    'kernel_socket_recv_buffer_size' => 65536,
    'discard_timeout_request' => true,
]);
$server->listen('127.0.0.1', 0, SWOOLE_SOCK_UDP);
$server->listen(sys_get_temp_dir() . '/ostler-kinds-' . getmypid() . '.sock', 0, SWOOLE_SOCK_UNIX_STREAM);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
$server->on('packet', fn ($server, $data, $client) => $server->sendto($client['address'], $client['port'], $data));
run($server, function (Client $tcp, Client $udp, Client $unix) {
    echo $tcp->ask('tcp'), ' ', $unix->ask('unix'), ' ', $udp->send('udp')->datagram(), "\n";
});
?>
--EXPECT--
tcp unix udp

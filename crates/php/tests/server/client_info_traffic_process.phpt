--TEST--
getClientInfo(): times and bytes of a session (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n", 'socket_buffer_size' => 64 << 20, 'kernel_socket_send_buffer_size' => 8192]);
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    static $before;
    $info = $server->getClientInfo($fd);
    if ($data === "keys\n") {
        $before = $info;
        return $server->send($fd, implode(' ', array_keys($info)) . "\n");
    }
    if ($data === "much\n") {
        for ($part = 0; $part < 3; $part++) {
            $server->send($fd, str_repeat('x', 1 << 20));
        }
        return $server->send($fd, "\n");
    }
    // The other client asks about the first one, which does not read.
    $info = $server->getClientInfo(1);
    $times = $before['last_recv_time'] >= $before['connect_time'] && $info['last_recv_time'] > $before['last_recv_time']
        && $info['last_dispatch_time'] > $before['last_dispatch_time'] && $info['last_send_time'] > $before['last_send_time']
        && abs($info['last_recv_time'] - microtime(true)) < 60 && $info['last_time'] === (int) $info['last_recv_time'];
    $server->send($fd, json_encode([$times, $info['send_queued_bytes'] > 1 << 20, $info['recv_queued_bytes']]) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('keys'), "\n";
    usleep(2000); // times are told apart by it
    $client->send("much\n");
    $other = new Client(address_of($server->ports[0]));
    wait_until('output that waits', fn () => ($answer = $other->ask('first')) === '[true,true,0]');
    echo "[true,true,0]\n";
    $client->read(1 << 20);
    $client->close();
});
?>
--EXPECT--
server_port server_fd socket_fd socket_type remote_port remote_ip reactor_id connect_time last_time last_recv_time last_send_time last_dispatch_time close_errno recv_queued_bytes send_queued_bytes
[true,true,0]

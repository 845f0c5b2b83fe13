--TEST--
send() to a path is a datagram to it, in both modes
--EXTENSIONS--
sockets
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    [$own, $clients] = array_map(fn (string $name) => sys_get_temp_dir() . "/ostler-$name-" . getmypid() . '.sock', ['server', 'client']);
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1]);
    $server->listen($own, 0, SWOOLE_SOCK_UNIX_DGRAM);
    $server->on('receive', function (Swoole\Server $server, int $fd) {
        $server->send($fd, json_encode([@$server->send('/nowhere', ''), $server->getLastError()]) . "\n");
    });
    $server->on('packet', fn (Swoole\Server $server, string $data, array $client) => $server->send($client['address'], "got $data"));
    run($server, function (Client $tcp) use ($own, $clients) {
        $client = socket_create(AF_UNIX, SOCK_DGRAM, 0);
        socket_set_option($client, SOL_SOCKET, SO_RCVTIMEO, ['sec' => (int) PATIENCE_S, 'usec' => 0]);
        socket_bind($client, $clients);
        wait_until('the socket', fn () => file_exists($own));
        socket_sendto($client, 'hello', 5, 0, $own);
        socket_recvfrom($client, $answer, 100, 0, $from);
        echo $answer, ' ', $tcp->ask('x'), "\n";
        unlink($clients);
    });
}

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('receive', fn ($server, int $fd) => $server->send($fd, json_encode(@$server->send('/nowhere', 'x')) . "\n"));
run($server, fn (Client $client) => print($client->ask('without such a port') . "\n"));
?>
--EXPECT--
got hello [false,550]
got hello [false,550]
false

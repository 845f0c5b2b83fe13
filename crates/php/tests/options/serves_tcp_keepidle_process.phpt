--TEST--
A server with tcp_keepidle serves (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['tcp_keepidle' => 60]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
x

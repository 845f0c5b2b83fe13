--TEST--
heartbeat_idle_time ends a session that is silent (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['heartbeat_idle_time' => 1]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->rest() === '' ? "closed\n" : '';
}, []);
?>
--EXPECT--
x
closed

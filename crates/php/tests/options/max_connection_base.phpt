--TEST--
max_connection bounds the sessions (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['max_connection' => 2]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    echo $client->ask('a'), "\n";
    echo $server->setting['max_connection'], "\n";
}, []);
?>
--EXPECT--
a
2

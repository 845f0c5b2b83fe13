--TEST--
heartbeat() without an interval is false; wrong types; before the start (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
var_dump(@$server->heartbeat());
$server->on('receive', function ($server, int $fd) {
    try {
        $server->heartbeat([]);
    } catch (TypeError $error) {
        $server->send($fd, json_encode([$server->heartbeat(), $error->getMessage()]) . "\n");
    }
});
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
?>
--EXPECT--
bool(false)
[false,"Ostler\\Server::heartbeat(): Argument #1 ($ifCloseConnection) must be of type bool, array given"]

--TEST--
heartbeat_check_interval: silent sessions of all ports without a time of their own are ended; heartbeat() (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'heartbeat_check_interval' => 1]);
$other = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$other->set([]);
$patient = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$patient->set(['heartbeat_idle_time' => 600]);
$server->on('receive', fn ($server, $fd) => $server->send($fd, json_encode([$server->heartbeat(), $server->heartbeat(false)]) . "\n"));
run($server, function (Client $main, Client $other, Client $patient) {
    echo $main->ask('x'), "\n";
    echo json_encode([$main->rest(), $other->rest()]), "\n";
    echo $patient->ask('x'), "\n";
});
?>
--EXPECT--
[[],[]]
["",""]
[[],[]]

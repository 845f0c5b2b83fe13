--TEST--
With enable_delay_receive nothing is read until confirm() (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['enable_delay_receive' => true]);
$server->on('connect', function ($server, $fd) {
    $server->send($fd, "first\n");
    $server->confirm($fd);
});
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    $client->send("early\n");
    echo $client->line(), "\n", $client->line(), "\n";
}, []);
?>
--EXPECT--
first
early

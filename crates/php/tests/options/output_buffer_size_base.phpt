--TEST--
A send that is longer than output_buffer_size is refused whole (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['output_buffer_size' => 4096]);
$server->on('receive', function ($server, $fd) {
    $server->send($fd, var_export(@$server->send($fd, str_repeat('x', 5000)), true) . ' ' . $server->getLastError() . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('a'), "\n";
}, []);
?>
--EXPECT--
false 1203

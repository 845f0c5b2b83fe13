--TEST--
With enable_coroutine = false an uncaught exception is told, and the worker goes on (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['enable_coroutine' => false]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    ini_set('display_errors', '0');
    $server->send($fd, getmypid() . "\n");
    throw new Exception('on purpose');
});
run($server, function (Client $client) use ($server) {
    var_dump($client->ask('x') === $client->ask('x'));
}, []);
?>
--EXPECT--
bool(true)

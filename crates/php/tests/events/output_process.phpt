--TEST--
What workers print arrives (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    echo 'worker says ', trim($data), "\n";
    flush();
    $server->send($fd, $data);
});
run($server, function (Client $client) use ($server) {
    $client->ask('hello');
}, []);
?>
--EXPECT--
worker says hello

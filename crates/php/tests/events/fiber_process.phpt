--TEST--
A callback may use fibers (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $fiber = new Fiber(function () use ($server, $fd) {
        $server->send($fd, 'one ');
        $more = Fiber::suspend();
        $server->send($fd, "$more\n");
    });
    $fiber->start();
    $fiber->resume('two');
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
one two
one two

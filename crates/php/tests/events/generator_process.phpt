--TEST--
Generators, closures and references live on between calls (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$count = 0;
$server->on('receive', function ($server, int $fd) use (&$count) {
    static $numbers = null;
    $numbers ??= (function () {
        for ($number = 1; ; $number *= 2) {
            yield $number;
        }
    })();
    $server->send($fd, ++$count . ' ' . $numbers->current() . "\n");
    $numbers->next();
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->ask('x'), "\n", $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
1 1
2 2
3 4

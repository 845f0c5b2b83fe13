--TEST--
set_time_limit() before the start does not count against a worker's life (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

set_time_limit(1);
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    for ($until = hrtime(true) + 150_000_000; hrtime(true) < $until;); // of CPU time, which is what is limited
    $server->send($fd, $data);
});
run($server, function (Client $client) {
    for ($round = 0; $round < 10; $round++) {
        $client->ask("round $round");
    }
    echo "ten rounds\n";
});
set_time_limit(0);
?>
--EXPECT--
ten rounds

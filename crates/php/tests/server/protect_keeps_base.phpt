--TEST--
protect() keeps a silent session from the heartbeat and from max_idle_time; others end, and onClose is told their reactor; heartbeat() names nobody (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach (['heartbeat_idle_time', 'max_idle_time'] as $option) {
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
    $server->set(['worker_num' => 1, $option => 1]);
    $told = scratch_file();
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
        $found = match (trim($data)) {
            'protect' => $server->protect($fd),
            'unprotect' => $server->protect($fd, false),
            default => $server->heartbeat(),
        };
        $server->send($fd, json_encode($found) . "\n");
    });
    $server->on('close', fn ($server, int $fd, int $reactor) => file_put_contents($told, "$fd by $reactor\n", FILE_APPEND));
    run($server, function (Client $client) use ($server, $told) {
        echo $client->ask('protect'), ' ';
        // It has been silent for longer than this one when that ends.
        $other = new Client(address_of($server->ports[0]));
        echo $other->ask('ask'), ' ', $other->rest() === '' ? 'ended ' : '', $client->ask('unprotect'), ' ', $client->rest() === '' ? 'ended' : '', "\n";
        wait_until('both', fn () => substr_count(file_get_contents($told), "\n") === 2);
        readfile($told);
    });
}
?>
--EXPECT--
true [] ended true ended
2 by 0
1 by 0
true false ended true ended
2 by 0
1 by 0

--TEST--
stop(-1, true), as programs of Swoole 4 write it: the worker leaves when what it has in hand is done (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $own = getmypid();
    $server->send($fd, (trim($data) === 'stop' ? var_export($server->stop(-1, true), true) : $own) . "\n");
});
run($server, function (Client $client) use ($server) {
    $address = address_of($server->ports[0]);
    $before = $client->ask('who');
    echo $client->ask('stop'), "\n";
    wait_until('another worker', fn () => (new Client($address))->ask('who') !== $before);
    echo "another one\n";
});
?>
--EXPECT--
true
another one

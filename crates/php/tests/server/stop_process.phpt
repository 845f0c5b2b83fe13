--TEST--
stop() replaces the worker that calls it (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $answer = trim($data) === 'stop' ? var_export([$server->stop(), @$server->stop(99)], true) : getmypid();
    $server->send($fd, str_replace("\n", '', $answer) . "\n");
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
array (  0 => true,  1 => false,)
another one

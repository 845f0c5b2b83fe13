--TEST--
max_request replaces a worker after so many requests (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['max_request' => 5]);
$server->on('receive', fn ($server, $fd) => $server->send($fd, getmypid() . "\n"));
run($server, function (Client $client) use ($server) {
    $seen = [];
    wait_until('three workers', function () use ($server, &$seen) {
        $seen[(new Client(address_of($server->ports[0])))->ask('x')] = true;
        return count($seen) >= 3;
    });
    echo "replaced\n";
}, []);
?>
--EXPECT--
replaced

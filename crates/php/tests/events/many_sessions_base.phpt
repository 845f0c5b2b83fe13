--TEST--
Two hundred clients at once (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['worker_num' => 2]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    $address = address_of($server->ports[0]);
    $clients = array_map(fn () => new Client($address), range(1, 200));
    foreach ($clients as $number => $one) {
        $one->send("$number\n");
    }
    $wrong = 0;
    foreach ($clients as $number => $one) {
        $wrong += (int) ($one->line() !== "$number");
    }
    echo "$wrong wrong\n";
}, []);
?>
--EXPECT--
0 wrong

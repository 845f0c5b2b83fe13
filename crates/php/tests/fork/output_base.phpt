--TEST--
What was printed before the start is printed once (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

ob_start();
echo "before\n";
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 3]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
echo "after\n";
?>
--EXPECT--
before
x
after

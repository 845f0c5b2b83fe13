--TEST--
dispatch_func is not asked in BASE mode, where who accepts serves
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'dispatch_func' => fn () => throw new LogicException('asked')]);
$server->on('receive', fn ($server, int $fd) => $server->send($fd, "served\n"));
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
?>
--EXPECT--
served

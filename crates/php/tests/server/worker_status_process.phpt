--TEST--
getWorkerStatus: of the worker that asks (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
var_dump(@$server->getWorkerStatus());
$told = scratch_file();
$server->on('receive', fn ($server, int $fd) => $server->send($fd, json_encode([$server->getWorkerStatus() === SWOOLE_WORKER_BUSY, $server->getWorkerStatus(0), $server->getWorkerStatus(7)]) . "\n"));
$server->on('workerStop', fn ($server) => file_put_contents($told, json_encode($server->getWorkerStatus() === SWOOLE_WORKER_EXIT)));
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
readfile($told);
?>
--EXPECT--
bool(false)
[true,1,false]
true

--TEST--
getWorkerStatus, getWorkerPid: of other workers and added processes (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 2]);
$told = scratch_file();
$server->addProcess(new Swoole\Process(function () use ($server, $told) {
    // Both are there, and serve nobody.
    wait_until('idle workers', fn () => $server->getWorkerStatus(0) === SWOOLE_WORKER_IDLE && $server->getWorkerStatus(1) === SWOOLE_WORKER_IDLE);
    $idle = $server->stats()['idle_worker_num'];
    file_put_contents($told, json_encode(['idle', $idle, isset($server->stats()['worker_request_count'])]));
    // One of them is busy.
    wait_until('a busy worker', fn () => $server->getWorkerStatus(0) + $server->getWorkerStatus(1) === SWOOLE_WORKER_BUSY + SWOOLE_WORKER_IDLE);
    $pids = [$server->getWorkerPid(0), $server->getWorkerPid(1), $server->getWorkerPid(2) === getmypid()];
    file_put_contents($told, json_encode([$pids, $server->stats()['idle_worker_num']]));
    sleep(60);
}));
$server->on('receive', function ($server, int $fd) use ($told) {
    wait_until('the process', fn () => str_contains(file_get_contents($told), '[['));
    [$pids, $idle] = json_decode(file_get_contents($told));
    $own = $server->getWorkerId();
    $is_right = $pids[$own] === getmypid() && $pids[1 - $own] === $server->getWorkerPid(1 - $own) && $pids[0] !== $pids[1] && $pids[2];
    $server->send($fd, json_encode([$is_right, $idle, $server->getWorkerStatus(1 - $own), $server->getWorkerPid(2) > 0, $server->getWorkerPid(3), $server->getWorkerStatus(3), $server->getWorkerPid(-2), $server->getWorkerStatus(PHP_INT_MAX)]) . "\n");
});
run($server, function (Client $client) use ($told) {
    wait_until('the process', fn () => file_get_contents($told) !== '');
    echo file_get_contents($told), "\n", $client->ask('x'), "\n";
});
?>
--EXPECT--
["idle",2,false]
[true,1,2,true,false,false,false,false]

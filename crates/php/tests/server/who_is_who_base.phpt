--TEST--
Numbers and processes, by methods and by properties, in every kind of process (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'task_worker_num' => 1]);
$master = getmypid();
$told = scratch_file();
$tell = function (string $who) use ($server, $told, $master) {
    $id = $server->getWorkerId();
    $found = [$id, $server->worker_id, $server->taskworker, $server->worker_pid === getmypid(), $id !== false && $server->getWorkerPid($id) === getmypid(),
        $server->master_pid === $server->getMasterPid(), $server->master_pid === $master, $server->manager_pid === $server->getManagerPid(),
        $who === 'companion' || preg_match('/^PPid:\s+(\d+)/m', file_get_contents('/proc/self/status'), $ppid) && $server->manager_pid === (int) $ppid[1]];
    file_put_contents($told, $who . ' ' . json_encode($found) . "\n", FILE_APPEND);
};
$server->on('start', fn () => $tell('companion'));
$server->addProcess(new Swoole\Process(function () use ($tell) {
    $tell('process');
    sleep(60);
}));
$server->on('receive', function ($server, int $fd) use ($tell) {
    $tell('worker');
    $server->taskwait('x', 20.0);
    $server->send($fd, "done\n");
});
$server->on('task', function () use ($tell) {
    $tell('task worker');
    return 1;
});
run($server, function (Client $client) use ($told) {
    $client->ask('x');
    wait_until('all', fn () => substr_count(file_get_contents($told), "\n") === 4);
});
$lines = file($told);
sort($lines);
echo implode($lines);
?>
--EXPECT--
companion [false,-1,false,false,false,true,true,true,true]
process [false,-1,false,false,false,true,true,true,true]
task worker [1,1,true,true,true,true,true,true,true]
worker [0,0,false,true,true,true,true,true,true]

--TEST--
In the companion, in a process of the program: who serves nobody sends, and has no number and no tasks (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$tell = function (string $who) use ($server, $told) {
    $found = [$server->getWorkerId(), $server->worker_id, $server->taskworker, @$server->task('x'), @$server->taskwait('x'), @$server->stop(), @$server->finish('x'), @$server->getWorkerStatus(), $server->send(77, 'x'), $server->getLastError()];
    file_put_contents($told, $who . ' ' . json_encode($found) . "\n", FILE_APPEND);
};
$server->on('start', fn () => $tell('companion'));
$server->addProcess(new Swoole\Process(function () use ($tell) {
    $tell('process');
    sleep(60);
}));
$server->on('receive', fn () => 1);
run($server, function () use ($told) {
    wait_until('both', fn () => substr_count(file_get_contents($told), "\n") === 2);
});
$lines = file($told);
sort($lines);
echo implode($lines);
?>
--EXPECT--
companion [false,-1,false,false,false,false,false,false,false,1005]
process [false,-1,false,false,false,false,false,false,false,1005]

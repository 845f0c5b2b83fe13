--TEST--
addProcess: who ends is started again, and told of if it has failed (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'back_off_min_ms' => 5]);
$begun = new Swoole\Atomic;
$told = scratch_file();
$server->addProcess(new Swoole\Process(function () use ($begun) {
    $begun->add() === 1 ? exit(3) : sleep(60);
}));
$server->on('workerError', fn ($server, int $id, int $pid, int $code, int $signal) => file_put_contents($told, "$id $code $signal"));
$server->on('receive', fn ($server, int $fd) => $server->send($fd, "$begun->id\n"));
run($server, function () use ($begun, $told) {
    wait_until('the second', fn () => $begun->get() >= 2);
    wait_until('the report', fn () => file_get_contents($told) !== '');
    readfile($told);
}, ['worker died']);
?>
--EXPECT--
1 3 0

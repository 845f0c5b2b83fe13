--TEST--
A worker that leaves does what Timer::after was asked for, and does not wait for what Timer::tick repeats; onWorkerExit comes once
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$told = scratch_file();
$say = fn (string $what) => file_put_contents($told, "$what\n", FILE_APPEND);
$server->set(['worker_num' => 1, 'max_wait_time' => 3600]);
$first = new Swoole\Atomic(0);
$server->on('workerStart', function ($server) use ($first) {
    $server->is_first = $first->add() === 1;
});
foreach (['workerExit', 'workerStop'] as $event) {
    $server->on($event, fn ($server) => $server->is_first && $say($event));
}
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use ($say) {
    Swoole\Timer::tick(3_600_000, fn () => $say('tick'));
    Swoole\Timer::after(200, fn () => $say('after'));
    $server->send($fd, var_export($server->stop(), true) . "\n");
});
run($server, function (Client $client) use ($told) {
    echo $client->ask('stop'), "\n";
    wait_until('the end of the worker', fn () => str_contains(file_get_contents($told), 'workerStop'));
    readfile($told);
});
?>
--EXPECT--
true
workerExit
after
workerStop

--TEST--
addProcess, Process::signal: TERM is the program's own, in the loop and in a call that waits (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$server->addProcess(new Swoole\Process(function () use ($told) {
    Swoole\Process::signal(SIGTERM, fn () => file_put_contents($told, "waiting\n", FILE_APPEND));
    Swoole\Process::signal(SIGUSR1, fn () => file_put_contents($told, "first\n", FILE_APPEND));
    Swoole\Process::kill(getmypid(), SIGUSR1);
    sleep(60);
}));
$server->addProcess(new Swoole\Process(function () use ($told) {
    Swoole\Timer::tick(60_000, fn () => 1);
    Swoole\Process::signal(SIGTERM, function () use ($told) {
        file_put_contents($told, "in the loop\n", FILE_APPEND);
        exit;
    });
    file_put_contents($told, "second\n", FILE_APPEND);
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
first
in the loop
second
waiting

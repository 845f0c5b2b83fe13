--TEST--
Workers have random numbers of their own (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

mt_srand(1);
mt_rand();
lcg_value();
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$server->set(['worker_num' => 4]);
$server->on('workerStart', fn () => file_put_contents($told, mt_rand() . ' ' . lcg_value() . "\n", FILE_APPEND | LOCK_EX));
$server->on('receive', fn () => 1);
run($server, function () use ($told) {
    wait_until('all workers', fn () => substr_count(file_get_contents($told), "\n") === 4);
    $lines = array_map(fn ($line) => explode(' ', $line), file($told));
    var_dump(count(array_unique(array_column($lines, 0))), count(array_unique(array_column($lines, 1))));
});
?>
--EXPECT--
int(4)
int(4)

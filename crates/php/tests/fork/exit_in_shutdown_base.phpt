--TEST--
A shutdown function may say the code of a worker (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$server->set(['worker_num' => 1]);
$server->on('receive', function () {
    register_shutdown_function(fn () => exit(9));
    exit(4);
});
$server->on('workerError', fn ($server, $id, $pid, $code, $signal) => file_put_contents($told, "$code $signal"));
run($server, function (Client $client) use ($told) {
    $client->send('x');
    wait_until('the death', fn () => filesize($told) > 0 || clearstatcache());
    readfile($told);
}, ['worker died']);
?>
--EXPECT--
9 0

--TEST--
An exception in a timer ends the worker (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('receive', function ($server, int $fd) {
    ini_set('display_errors', '0');
    Swoole\Timer::after(1, fn () => throw new Exception('on purpose'));
});
$server->on('workerError', fn ($server, $id, $pid, $code, $signal) => file_put_contents($told, "$code $signal"));
run($server, function (Client $client) use ($server) {
    $client->send('x');
    wait_until('the death', fn () => filesize($GLOBALS['told']) > 0 || clearstatcache());
    readfile($GLOBALS['told']);
}, ['worker died']);
?>
--EXPECT--
255 0

--TEST--
A handler of the program gets an uncaught exception (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('workerStart', fn () => set_exception_handler(fn (Throwable $error) => file_put_contents($told, $error->getMessage())));
$server->on('receive', fn () => throw new Exception('on purpose'));
run($server, function (Client $client) use ($server) {
    $client->send('x')->rest();
    readfile($GLOBALS['told']);
}, ['worker died']);
?>
--EXPECT--
on purpose

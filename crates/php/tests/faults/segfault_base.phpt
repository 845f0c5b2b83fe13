--TEST--
A segmentation fault is a death with a signal (BASE mode)
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('receive', fn () => kill(getmypid(), SIGSEGV) ?? usleep(1000000));
$server->on('workerError', fn ($server, $id, $pid, $code, $signal) => file_put_contents($told, "$code $signal"));
run($server, function (Client $client) use ($server) {
    echo $client->send('x')->rest() === '' ? "closed\n" : '';
    wait_until('the death', fn () => filesize($GLOBALS['told']) > 0 || clearstatcache());
    readfile($GLOBALS['told']);
}, ['worker died', 'crash', 'SIGSEGV']);
?>
--EXPECT--
closed
0 11

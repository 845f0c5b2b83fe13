--TEST--
Timers run in the process of onStart, too (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('start', fn () => Swoole\Timer::after(1, fn () => file_put_contents($told, 'fired')));
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    wait_until('the timer', fn () => filesize($GLOBALS['told']) > 0 || clearstatcache());
    readfile($GLOBALS['told']);
}, []);
?>
--EXPECT--
fired

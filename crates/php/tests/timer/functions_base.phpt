--TEST--
Timers by functions, and what they refuse (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd) {
    $id = swoole_timer_after(60000, fn () => 1);
    $found = [@Swoole\Timer::tick(0, fn () => 1), @Swoole\Timer::after(-1, fn () => 1), @swoole_timer_tick(5, 'no_such_function'),
        swoole_timer_exists($id), swoole_timer_clear($id), swoole_timer_clear($id), swoole_timer_clear_all(), Swoole\Timer::info(99)];
    $server->send($fd, json_encode($found) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
[false,false,false,true,true,false,false,null]

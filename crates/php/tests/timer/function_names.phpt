--TEST--
Each function of timers is the method of the same name
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1]);
    $server->on('receive', function ($server, int $fd) {
        $ids = [swoole_timer_tick(60000, fn () => 1), swoole_timer_after(70000, fn () => 1)];
        $found = [swoole_timer_info($ids[0]) == Swoole\Timer::info($ids[0]), swoole_timer_info($ids[1])['exec_msec'], swoole_timer_info(99),
            swoole_timer_stats() == Swoole\Timer::stats(), swoole_timer_stats()['num'], iterator_to_array(swoole_timer_list()) === $ids,
            swoole_timer_clear_all(), swoole_timer_stats()['num'], iterator_to_array(swoole_timer_list())];
        $server->send($fd, json_encode($found) . "\n");
    });
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
}
?>
--EXPECT--
[true,70000,null,true,2,true,true,0,[]]
[true,70000,null,true,2,true,true,0,[]]

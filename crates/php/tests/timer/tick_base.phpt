--TEST--
Timers: tick, after, clear, exists, info (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd) {
    $ticks = 0;
    $id = Swoole\Timer::tick(1, function (int $id, string $word, int $number) use ($server, $fd, &$ticks) {
        if (++$ticks === 3) {
            var_dump_to($server, $fd, Swoole\Timer::info($id)['exec_count'], Swoole\Timer::clear($id), Swoole\Timer::exists($id));
            $server->send($fd, "$word $number\n");
        }
    }, 'word', 5);
    var_dump_to($server, $fd, $id > 0, Swoole\Timer::exists($id), iterator_to_array(Swoole\Timer::list()) === [$id], Swoole\Timer::stats()['num']);
    Swoole\Timer::after(1, fn (string $text) => $server->send($fd, $text), "after\n");
});
function var_dump_to(Swoole\Server $server, int $fd, mixed ...$values): void
{
    $server->send($fd, json_encode($values) . "\n");
}
run($server, function (Client $client) use ($server) {
    $lines = [$client->ask('x'), $client->line(), $client->line(), $client->line()];
    sort($lines);
    echo implode("\n", $lines), "\n";
}, []);
?>
--EXPECT--
[3,true,false]
[true,true,true,1]
after
word 5

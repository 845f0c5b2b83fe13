--TEST--
Timer: arguments, clear within the callback, list, info, what is none (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

use Swoole\Timer;

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd) {
    $found = [@Timer::tick(0, 'strlen'), @Timer::after(-5, 'strlen'), @Timer::after(1, 'no_function'), Timer::clear(99), Timer::exists(99), Timer::info(99), Timer::clearAll()];
    $first = Timer::tick(60_000, fn () => 1);
    $second = Timer::after(60_000, fn () => 1);
    $list = Timer::list();
    $found[] = [$list::class, $list instanceof Iterator, count($list), iterator_to_array($list) === [$first, $second]];
    $found[] = array_keys(Timer::info($first));
    $found[] = [Timer::stats()['num'], Timer::clear($first), Timer::clear($first), Timer::clearAll(), Timer::stats()['num']];
    Timer::tick(1, function (int $id, string $word, int $number) use ($server, $fd, $found) {
        $found[] = [$word, $number, Timer::exists($id), Timer::clear($id), Timer::exists($id)];
        $server->send($fd, json_encode($found) . "\n");
    }, 'word', 7);
});
run($server, fn (Client $client) => print(str_replace('],', "],\n", $client->ask('x')) . "\n"));
?>
--EXPECT--
[false,false,false,false,false,null,false,["Ostler\\Timer\\Iterator",true,2,true],
["exec_msec","exec_count","interval","round","removed"],
[2,true,false,true,0],
["word",7,true,true,false]]

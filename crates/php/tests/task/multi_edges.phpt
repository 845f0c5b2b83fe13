--TEST--
taskWaitMulti() and taskwait(): what is late is absent, and no answer to what is asked next; what cannot be sent sends nothing
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 2, 'task_max_length' => 4096]);
    $ran = new Swoole\Atomic();
    $go = new Swoole\Atomic();
    $server->on('receive', function ($server, int $fd) use ($ran, $go) {
        $found = [array_keys($server->taskWaitMulti(['slow', 'b', 'c'], 0.3))];
        $go->wakeup();
        wait_until('the end of the slow one', fn () => $go->get() === 0);
        $found[] = $server->taskwait('quick', 20.0);
        $found[] = [$server->taskwait('slow', 0.01), $server->getLastError()];
        $go->wakeup();
        wait_until('the end of the slow one', fn () => $go->get() === 0);
        $found[] = [$server->taskwait('next', 20.0), $server->taskWaitMulti(['e', 'f'], 20.0)];
        $before = $ran->get();
        try {
            $server->taskWaitMulti(['x', fn () => 1]);
        } catch (Exception $error) {
            $found[] = $error->getMessage();
        }
        $found[] = [@$server->taskWaitMulti(array_fill(0, 1024, 'x')), error_get_last()['message']];
        $found[] = [@$server->taskWaitMulti([str_repeat('x', 5000), str_repeat('y', 5000)]), $server->getLastError()];
        $found[] = [array_map(fn ($one) => is_string($one) ? strlen($one) : $one, $server->taskWaitMulti([str_repeat('x', 5000), 'y'], 20.0)), $server->taskWaitMulti([])];
        $found[] = $ran->get() - $before;
        $server->send($fd, json_encode($found) . "\n");
    });
    $server->on('task', function ($server, int $id, int $source, string $data) use ($ran, $go) {
        $ran->add();
        $data === 'slow' && $go->wait(20.0);
        return "$data!";
    });
    run($server, fn (Client $client) => print(str_replace('],', "],\n", $client->ask('x')) . "\n"));
}
?>
--EXPECT--
[[1,2],
"quick!",[false,2003],
["next!",["e!","f!"]],
"Serialization of 'Closure' is not allowed",[false,"Ostler\\Server::taskWaitMulti(): too many concurrent tasks"],
[false,2002],
[[false,2],
false],
1]
[[1,2],
"quick!",[false,2003],
["next!",["e!","f!"]],
"Serialization of 'Closure' is not allowed",[false,"Ostler\\Server::taskWaitMulti(): too many concurrent tasks"],
[false,2002],
[[false,2],
false],
1]

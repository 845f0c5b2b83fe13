--TEST--
A task may have a callback of its own; finish() may be called more than once, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('receive', function ($server, int $fd, int $reactor, string $data) {
        $server->task('work', -1, fn ($server, int $id, $result) => $server->send($fd, "$result\n"));
    });
    $server->on('task', function ($server, int $id, int $source, string $data) {
        // Not printed here: the client prints at the same time.
        $server->finish(var_export($server->finish("$data 1") && $server->finish("$data 2"), true));
    });
    run($server, function (Client $client) use ($server) {
        echo $client->ask('x'), "\n", $client->line(), "\n", $client->line(), "\n";
    }, []);
}
?>
--EXPECT--
work 1
work 2
true
work 1
work 2
true

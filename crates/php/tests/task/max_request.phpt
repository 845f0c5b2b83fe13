--TEST--
task_max_request: replaces a task worker after so many tasks, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1, 'task_max_request' => 4]);
    $server->on('receive', fn ($server, int $fd) => $server->send($fd, $server->taskwait('', PATIENCE_S) . "\n"));
    $server->on('task', fn () => getmypid());
    run($server, function (Client $client) {
        $seen = [];
        wait_until('three task workers', function () use ($client, &$seen) {
            $seen[$client->ask('x')] = true;
            return count($seen) >= 3;
        });
        echo "replaced\n";
    });
}
?>
--EXPECT--
replaced
replaced

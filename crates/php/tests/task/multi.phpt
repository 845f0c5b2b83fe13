--TEST--
taskWaitMulti() answers by the places of the tasks, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('receive', function ($server, int $fd) {
        $server->send($fd, json_encode($server->taskWaitMulti([3 => 'a', 'key' => 'b'], 20.0)) . "\n");
    });
    $server->on('task', fn ($server, int $id, int $source, string $data) => strtoupper($data));
    run($server, function (Client $client) use ($server) {
        echo $client->ask('x'), "\n";
    }, []);
}
?>
--EXPECT--
["A","B"]
["A","B"]

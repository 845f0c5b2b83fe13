--TEST--
taskCo: results by index; what has failed or has not come in time is false, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 2]);
    $server->on('receive', function ($server, int $fd) {
        $server->send($fd, json_encode([$server->taskCo(['a', 'nothing', 'b'], 2.0), $server->taskCo(['slow', 'c'], 0.3), $server->taskCo([])]) . "\n");
    });
    $server->on('task', function ($server, int $id, int $source, $data) {
        $data === 'slow' && sleep(1);
        return $data === 'nothing' ? null : strtoupper($data);
    });
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
}
?>
--EXPECT--
[["A",false,"B"],[false,"C"],false]
[["A",false,"B"],[false,"C"],false]

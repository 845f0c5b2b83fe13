--TEST--
taskwait() waits for the result, and no longer than it may, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('receive', function ($server, int $fd) {
        $found = [$server->taskwait('quick', 20.0), $server->taskwait('slow', 0.01), @$server->taskwait('none', 0.5, 99)];
        $server->send($fd, json_encode($found) . "\n");
    });
    $server->on('task', function ($server, int $id, int $source, string $data) {
        $data === 'slow' && usleep(300000);
        return "$data!";
    });
    run($server, function (Client $client) use ($server) {
        echo $client->ask('x'), "\n";
    }, ['task']);
}
?>
--EXPECT--
["quick!",false,false]
["quick!",false,false]

--TEST--
task(), onTask, onFinish: values go there and back, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('receive', function ($server, int $fd, int $reactor, string $data) {
        $server->task(['fd' => $fd, 'text' => trim($data)]);
    });
    $server->on('task', fn ($server, int $id, int $source, mixed $data) => $data + ['where' => $server->taskworker, 'id' => $server->worker_id]);
    $server->on('finish', fn ($server, int $id, mixed $data) => $server->send($data['fd'], json_encode($data) . "\n"));
    run($server, function (Client $client) use ($server) {
        echo $client->ask('hello'), "\n";
    }, []);
}
?>
--EXPECT--
{"fd":1,"text":"hello","where":true,"id":1}
{"fd":1,"text":"hello","where":true,"id":1}

--TEST--
sendMessage, onPipeMessage: values of every kind to a worker, to a task worker, and back, in order, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 2, 'task_worker_num' => 1, 'dispatch_mode' => 2]);
    $server->on('task', fn () => 1);
    $server->on('receive', function ($server, int $fd, int $reactor, string $data) {
        $to = trim($data) === 'task' ? 2 : 1 - $server->worker_id;
        foreach (['text', 7, ['a' => [1.5, null]], str_repeat('x', 100_000), $fd] as $value) {
            $server->sendMessage($value, $to) || $server->send($fd, "refused\n");
        }
    });
    $server->on('pipeMessage', function (Swoole\Server $server, int $source, mixed $data) {
        static $got = [];
        if (is_array($data) && isset($data['for'])) {
            return $server->send($data['for'], json_encode($data) . "\n");
        }
        $got[] = is_string($data) ? strlen($data) : $data;
        if (count($got) === 5) {
            $fd = array_pop($got);
            $server->sendMessage(['for' => $fd, 'got' => $got, 'other' => $source !== $server->worker_id, 'task' => $server->taskworker], $source);
            $got = [];
        }
    });
    run($server, fn (Client $client) => print($client->ask('worker') . "\n" . $client->ask('task') . "\n"));
}
?>
--EXPECT--
{"for":1,"got":[4,7,{"a":[1.5,null]},100000],"other":true,"task":false}
{"for":1,"got":[4,7,{"a":[1.5,null]},100000],"other":true,"task":true}
{"for":1,"got":[4,7,{"a":[1.5,null]},100000],"other":true,"task":false}
{"for":1,"got":[4,7,{"a":[1.5,null]},100000],"other":true,"task":true}

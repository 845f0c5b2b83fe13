--TEST--
task_object: onTask gets an object, which finishes the task as long as it runs, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1, 'task_object' => true]);
    $server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, json_encode($server->taskwait(trim($data), 5)) . "\n"));
    $server->on('task', function (Swoole\Server $server, Swoole\Server\Task $task) {
        static $before = null;
        $late = @$before?->finish('late');
        $before = $task;
        $task->finish([$task->data, $late, $task->id > 0]);
    });
    $server->on('finish', fn () => 1);
    run($server, fn (Client $client) => print($client->ask('one') . "\n" . $client->ask('two') . "\n"));
}
?>
--EXPECT--
["one",null,true]
["two",false,true]
["one",null,true]
["two",false,true]

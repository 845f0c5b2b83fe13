--TEST--
Tasks of an added process and of the companion: nobody takes their results, and onTask is told who asks and how
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 2, 'task_use_object' => true]);
    $told = scratch_file();
    $tell = fn (string $who, array $what) => file_put_contents($told, $who . ' ' . json_encode($what) . "\n", FILE_APPEND);
    $ask = function (string $who) use ($server, $tell) {
        $id = $server->task([$who], -1, fn () => $tell('called', []));
        $tell("$who asks", [is_int($id), @$server->taskwait('x'), error_get_last()['message'], @$server->taskWaitMulti(['x']), @$server->taskCo(['x']), @$server->task('x', 99), @$server->task('x', -5)]);
    };
    $server->on('start', fn () => $ask('companion'));
    $server->addProcess(new Swoole\Process(function () use ($ask) {
        $ask('process');
        sleep(60);
    }));
    $server->on('receive', function ($server, int $fd) use ($tell) {
        $server->task('worker', 1, function ($server, int $id, $data) use ($fd, $tell) {
            $tell('result', [$data]);
            $server->send($fd, "done\n");
        });
    });
    $server->on('task', function (Swoole\Server $server, Swoole\Server\Task $task) use ($tell) {
        $who = is_array($task->data) ? $task->data[0] : $task->data;
        $tell("task of $who", [$task->worker_id, $task->flags & SWOOLE_TASK_NOREPLY, $task->flags & SWOOLE_TASK_SERIALIZE, $task->flags & SWOOLE_TASK_CALLBACK, $who === 'worker' ? null : @$task->finish('y')]);
        return 'returned';
    });
    $server->on('finish', fn ($server, int $id, $data) => $tell('finish', [$data]));
    run($server, function (Client $client) use ($told) {
        $client->ask('x');
        wait_until('all', fn () => substr_count(file_get_contents($told), "\n") === 6);
    });
    $lines = file($told);
    sort($lines);
    echo implode($lines);
}
?>
--EXPECT--
companion asks [true,false,"Ostler\\Server::taskwait(): tasks can be waited for in event workers only",false,false,false,false]
process asks [true,false,"Ostler\\Server::taskwait(): tasks can be waited for in event workers only",false,false,false,false]
result ["returned"]
task of companion [-1,128,2,0,false]
task of process [3,128,2,0,false]
task of worker [0,0,0,8,null]
companion asks [true,false,"Ostler\\Server::taskwait(): tasks can be waited for in event workers only",false,false,false,false]
process asks [true,false,"Ostler\\Server::taskwait(): tasks can be waited for in event workers only",false,false,false,false]
result ["returned"]
task of companion [-1,128,2,0,false]
task of process [3,128,2,0,false]
task of worker [0,0,0,8,null]

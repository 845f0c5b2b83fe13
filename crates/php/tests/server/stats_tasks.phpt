--TEST--
stats: tasks and task workers, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 2]);
    $go_on = scratch_file();
    $server->on('task', function ($server, int $task, int $from, $data) use ($go_on) {
        wait_until('the end of the task', fn () => file_get_contents($go_on) !== '');
        return $data;
    });
    $server->on('finish', fn () => null);
    $server->on('receive', function ($server, int $fd, int $reactor, string $data) {
        if ($data === "task\n") {
            $server->task('x');
        }
        $of_tasks = array_flip(['task_worker_num', 'task_idle_worker_num', 'tasking_num', 'task_count']);
        $server->send($fd, json_encode(array_intersect_key($server->stats(), $of_tasks)) . "\n");
    });
    run($server, function (Client $client) use ($go_on) {
        $until = function (string $wanted) use ($client) {
            wait_until($wanted, function () use ($client, $wanted) {
                return $client->ask('look') === $wanted;
            });
            echo $wanted, "\n";
        };
        $until('{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":0}');
        $client->ask('task');
        $until('{"task_worker_num":2,"task_idle_worker_num":1,"tasking_num":1,"task_count":1}');
        file_put_contents($go_on, 'x');
        $until('{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":1}');
    });
}
?>
--EXPECT--
{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":0}
{"task_worker_num":2,"task_idle_worker_num":1,"tasking_num":1,"task_count":1}
{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":1}
{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":0}
{"task_worker_num":2,"task_idle_worker_num":1,"tasking_num":1,"task_count":1}
{"task_worker_num":2,"task_idle_worker_num":2,"tasking_num":0,"task_count":1}

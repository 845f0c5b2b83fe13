--TEST--
workers_max: task workers have the numbers behind all event workers that there may be
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'workers_max' => 3, 'task_worker_num' => 2, 'dispatch_mode' => 1]);
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    if ($data === 'task') {
        $server->task('', 1, function ($server, $id, $result) use ($fd) {
            $server->send($fd, "task worker $result\n");
        });
    } elseif ($data === 'message') {
        $server->sendMessage("$fd", 3);
    } else {
        $server->send($fd, "$server->worker_id\n");
    }
});
$server->on('pipeMessage', function (Swoole\Server $server, int $from, string $fd) {
    $server->send((int) $fd, "message to $server->worker_id" . ($server->taskworker ? ', a task worker' : '') . "\n");
});
$server->on('task', fn (Swoole\Server $server) => (string) $server->worker_id);
$server->on('finish', fn () => null);
$master = getmypid();
run($server, function (Client $client) use ($master) {
    $ids = [(int) $client->send('who')->line()];
    kill($master, SIGTTIN);
    wait_until('another event worker', function () use ($client, &$ids) {
        $ids[] = (int) $client->send('who')->line();
        return count(array_unique($ids)) === 2;
    });
    sort($ids);
    echo implode(' ', array_unique($ids)), "\n";
    echo $client->send('task')->line(), "\n", $client->send('message')->line(), "\n";
});
echo $server->setting['worker_num'], "\n";
?>
--EXPECT--
0 1
task worker 4
message to 3, a task worker
1

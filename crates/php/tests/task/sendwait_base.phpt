--TEST--
sendwait() is for event workers of the BASE mode, not for task workers
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'task_worker_num' => 1]);
$server->on('receive', function ($server, int $fd) {
    $server->send($fd, $server->taskwait($fd, 20.0) . "\n");
    $server->sendwait($fd, "from the worker\n");
});
$server->on('task', function ($server, int $id, int $source, int $fd) {
    error_clear_last();
    $sent = @$server->sendwait($fd, "from the task\n");
    return var_export($sent, true) . ' ' . (error_get_last()['message'] ?? '');
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->line(), "\n";
}, ['task']);
?>
--EXPECT--
false Ostler\Server::sendwait(): can only be used in event workers
from the worker

--TEST--
event_object: onConnect, onReceive, onClose, onTask, onFinish get objects (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'task_worker_num' => 1, 'event_object' => true]);
$told = scratch_file();
$tell = fn (string $what, object $object) => file_put_contents($told, $what . ' ' . $object::class . ' '
    . json_encode(array_diff_key((array) $object, ['dispatch_time' => 0])) . var_export(abs($object->dispatch_time - microtime(true)) < 60, true) . "\n", FILE_APPEND);
$server->on('connect', fn (Swoole\Server $server, Swoole\Server\Event $event) => $tell('connect', $event));
$server->on('receive', function (Swoole\Server $server, Swoole\Server\Event $event) use ($tell) {
    $tell('receive', $event);
    $server->task([$event->fd]);
});
$server->on('task', function (Swoole\Server $server, Swoole\Server\Task $task) use ($tell) {
    $tell('task', $task);
    $task->finish($task->data);
});
$server->on('finish', function (Swoole\Server $server, Swoole\Server\TaskResult $result) use ($tell) {
    $tell('finish', $result);
    $server->send($result->data[0], "done\n");
});
$server->on('close', fn (Swoole\Server $server, Swoole\Server\Event $event) => $tell('close', $event));
run($server, function (Client $client) use ($told) {
    $client->ask('x');
    $client->close();
    wait_until('the close', fn () => str_contains(file_get_contents($told), 'close'));
});
readfile($told);
?>
--EXPECT--
connect Ostler\Server\Event {"reactor_id":0,"fd":1,"data":null}true
receive Ostler\Server\Event {"reactor_id":0,"fd":1,"data":"x\n"}true
task Ostler\Server\Task {"data":[1],"id":1,"worker_id":0,"flags":6}true
finish Ostler\Server\TaskResult {"task_id":1,"task_worker_id":1,"data":[1]}true
close Ostler\Server\Event {"reactor_id":0,"fd":1,"data":null}true

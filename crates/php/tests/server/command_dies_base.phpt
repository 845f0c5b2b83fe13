--TEST--
command(): whoever answers may throw or end, and who has asked hears of it (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'task_worker_num' => 1]);
$server->on('task', fn () => 1);
$server->addCommand('exit', SWOOLE_SERVER_COMMAND_TASK_WORKER, fn () => exit(3));
$server->addCommand('pid', SWOOLE_SERVER_COMMAND_TASK_WORKER, fn () => json_encode(getmypid()));
$server->on('receive', function (Swoole\Server $server, int $fd) {
    $first = $server->command('pid', 0, SWOOLE_SERVER_COMMAND_TASK_WORKER, null);
    $ended = @$server->command('exit', 0, SWOOLE_SERVER_COMMAND_TASK_WORKER, null);
    $second = @$server->command('pid', 0, SWOOLE_SERVER_COMMAND_TASK_WORKER, null);
    $server->send($fd, json_encode([is_int($first), $ended, $second !== $first]) . "\n");
});
run($server, fn (Client $client) => print($client->ask('x') . "\n"), ['worker died', 'answer', 'undelivered']);
?>
--EXPECT--
[true,false,true]

--TEST--
command(): in BASE mode, too, a worker reaches itself and the others
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 2]);
$server->addCommand('who', SWOOLE_SERVER_COMMAND_WORKER, fn ($server, $data) => json_encode([$server->worker_id, $data]));
$server->on('receive', function (Swoole\Server $server, int $fd) {
    $own = $server->command('who', $server->worker_id, SWOOLE_SERVER_COMMAND_WORKER, 'x');
    $other = $server->command('who', 1 - $server->worker_id, SWOOLE_SERVER_COMMAND_WORKER, 'x');
    $server->send($fd, json_encode([$own === [$server->worker_id, '"x"'], $other === [1 - $server->worker_id, '"x"']]) . "\n");
});
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
?>
--EXPECT--
[true,true]

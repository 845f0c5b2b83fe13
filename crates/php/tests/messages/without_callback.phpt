--TEST--
sendMessage without onPipeMessage, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 2]);
    $server->on('receive', function ($server, int $fd) {
        $sent = @$server->sendMessage('x', 1 - $server->worker_id);
        $server->send($fd, json_encode([$sent, error_get_last()['message']]) . "\n");
    });
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
    unset($server);
}
?>
--EXPECT--
[false,"Ostler\\Server::sendMessage(): onPipeMessage is null, can't use sendMessage"]
[false,"Ostler\\Server::sendMessage(): onPipeMessage is null, can't use sendMessage"]

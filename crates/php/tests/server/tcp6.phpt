--TEST--
TCP over IPv6
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('::1', 0, $mode, SWOOLE_SOCK_TCP6);
    $server->set(['worker_num' => 1]);
    $server->on('receive', fn ($server, $fd) => $server->send($fd, $server->getClientInfo($fd)['remote_ip'] . "\n"));
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
    unset($server);
}
?>
--EXPECT--
::1
::1

--TEST--
The option open_redis_protocol (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->set(['open_redis_protocol' => true]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("*1\r\n\x244\r\nPING\r");
    usleep(20000);
    $client->send("\n");
    for ($lines = 0; $lines < 1; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
*1..$4..PING..

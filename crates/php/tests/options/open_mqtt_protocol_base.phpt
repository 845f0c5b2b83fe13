--TEST--
The option open_mqtt_protocol (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->set(['open_mqtt_protocol' => true]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("\xc0\0\x30\3ab");
    usleep(20000);
    $client->send('c');
    for ($lines = 0; $lines < 2; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
..
0.abc

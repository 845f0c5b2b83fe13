--TEST--
The option package_length_offset (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->set(['open_length_check' => true, 'package_length_type' => 'v', 'package_length_offset' => 2, 'package_body_offset' => 4]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("xx\2\0ab");
    usleep(20000);
    $client->send("yy\0\0");
    for ($lines = 0; $lines < 2; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
xx..ab
yy..

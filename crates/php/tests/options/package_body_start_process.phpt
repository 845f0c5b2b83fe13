--TEST--
The option package_body_start (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->set(['open_length_check' => true, 'package_length_type' => 'C', 'package_body_start' => 1]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("\3abc");
    usleep(20000);
    $client->send("\1d");
    for ($lines = 0; $lines < 2; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
.abc
.d

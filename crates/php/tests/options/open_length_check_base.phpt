--TEST--
The option open_length_check (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->set(['open_length_check' => true, 'package_length_type' => 'n', 'package_length_offset' => 0, 'package_body_offset' => 2]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("\0\3abc\0\1");
    usleep(20000);
    $client->send('d');
    for ($lines = 0; $lines < 2; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
..abc
..d

--TEST--
The option open_eof_default (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->set(['open_eof_split' => true]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, preg_replace('/[^!-~]/', '.', $data) . "\n");
});
run($server, function (Client $client) {
    $client->send("a\r\nb\r\n\r\n");
    usleep(20000);
    $client->send("c\r\n\r\n");
    for ($lines = 0; $lines < 2; $lines++) {
        echo $client->line(), "\n";
    }
});
?>
--EXPECT--
a..b....
c....

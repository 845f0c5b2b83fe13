--TEST--
A package that is too long ends its session (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['open_eof_split' => true, 'package_eof' => ';', 'package_max_length' => 65536]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    echo $client->send('a;')->read(2), "\n";
    try {
        $client->send(str_repeat('x', 200000));
    } catch (RuntimeException) {
    }
    echo $client->rest() === '' ? "closed\n" : "answered\n";
}, []);
?>
--EXPECT--
a;
closed

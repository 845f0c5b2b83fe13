--TEST--
A megabyte there and back (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->set(['open_length_check' => true, 'package_max_length' => 4 << 20]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($server) {
    $message = pack('N', 1 << 20) . random_bytes(1 << 20);
    var_dump($client->send($message)->read(strlen($message)) === $message);
}, []);
?>
--EXPECT--
bool(true)

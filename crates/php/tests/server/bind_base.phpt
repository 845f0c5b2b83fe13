--TEST--
bind() counts once, and knows its limits (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump(@$server->bind($fd, 1 << 32), @$server->bind($fd, -(1 << 31) - 1), $server->bind($fd, 0));
    var_dump($server->bind($fd, -1), $server->bind($fd, 5), $server->getClientInfo($fd)['uid'], $server->bind($fd + 77, 1), $server->getLastError());

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->ask('y'), "\n";
});
?>
--EXPECT--
bool(false) bool(false) bool(true) bool(true) bool(false) int(4294967295) bool(false) int(1005)
bool(false) bool(false) bool(false) bool(false) bool(false) int(4294967295) bool(false) int(1005)

--TEST--
getClientInfo() tells of a session (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    $info = $server->getClientInfo($fd);
    var_dump($info['remote_ip'], $info['server_port'] === $server->port, abs($info['connect_time'] - time()) < 60);
    var_dump(array_keys($info) === array_keys($server->connection_info($fd)), isset($info['uid']), $server->getClientInfo($fd + 9));
    var_dump($server->bind($fd, 7));

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", $client->ask('y'), "\n";
});
?>
--EXPECT--
string(9) "127.0.0.1" bool(true) bool(true) bool(true) bool(false) bool(false) bool(true)
string(9) "127.0.0.1" bool(true) bool(true) bool(true) bool(true) bool(false) bool(false)

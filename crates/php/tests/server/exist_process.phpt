--TEST--
exist() and exists() know who is there (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump($server->exist($fd), $server->exists($fd), $server->exist($fd + 1000), $server->exist(0), $server->exist(-1));

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
bool(true) bool(true) bool(false) bool(false) bool(false)

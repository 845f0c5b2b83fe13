--TEST--
pause(), resume(), confirm(), protect() (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump($server->pause($fd), $server->pause($fd), $server->resume($fd), $server->confirm($fd));
    var_dump($server->protect($fd), $server->protect($fd, false));
    var_dump($server->pause(4711), $server->resume(4711), $server->protect(4711), $server->getLastError());

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n", strlen($client->ask('y')) > 0 ? "still read\n" : "";
});
?>
--EXPECT--
bool(true) bool(true) bool(true) bool(true) bool(true) bool(true) bool(false) bool(false) bool(false) int(1005)
still read

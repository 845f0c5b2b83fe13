--TEST--
send() in onClose is refused (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));

$server->on('close', fn ($server, $fd) => file_put_contents($told, var_export($server->send($fd, 'x'), true) . ' ' . $server->getLastError()));
run($server, function (Client $client) use ($server) {
    $client->ask('x');
    $client->close();
    wait_until('the close', fn () => filesize($GLOBALS['told']) > 0 || clearstatcache());
    echo preg_match('/^(false 100[45]|true 0)$/', file_get_contents($GLOBALS['told'])) ? "nothing happens\n" : file_get_contents($GLOBALS['told']);
}, []);
?>
--EXPECT--
nothing happens

--TEST--
Modes without a fixed worker have no onConnect, unless enable_unsafe_event (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$server->set(['dispatch_mode' => 3]);
$server->on('connect', fn () => file_put_contents($told, 'connect'));
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
$GLOBALS['told'] = $told;
run($server, function (Client $client) use ($server) {
    echo $client->ask('a'), "\n";
    var_dump(filesize($GLOBALS['told']));
}, []);
?>
--EXPECTF--

Warning: Ostler\Server::start(): onConnect cannot be called with dispatch_mode 3: set enable_unsafe_event in %s on line %d
a
int(0)

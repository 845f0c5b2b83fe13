--TEST--
A program may run one server after another
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1]);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
    run($server, fn (Client $client) => print($client->ask("mode $mode") . "\n"));
    var_dump($server->start(), $server->send(1, 'x'));
}
?>
--EXPECTF--
mode 2

Warning: Ostler\Server::start(): The server have been shutdown, please re-create the server object in %s on line %d

Warning: Ostler\Server::send(): server is not running in %s on line %d
bool(false)
bool(false)
mode 1

Warning: Ostler\Server::start(): The server have been shutdown, please re-create the server object in %s on line %d

Warning: Ostler\Server::send(): server is not running in %s on line %d
bool(false)
bool(false)

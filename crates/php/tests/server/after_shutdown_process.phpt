--TEST--
After the end: nothing runs, start() is refused, and a new server can be made and started (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

function serve(): Swoole\Server
{
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
    $server->set(['worker_num' => 1]);
    $server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, $data));
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
    return $server;
}
$server = serve();
var_dump(@$server->send(1, 'x'), @$server->reload(), @$server->shutdown(), @$server->getClientList(), count($server->connections));
var_dump($server->start(), @$server->set([]), @$server->on('receive', 'strlen'));
unset($server);
serve();
?>
--EXPECTF--
x
bool(false)
bool(false)
bool(false)
bool(false)
int(0)

Warning: Ostler\Server::start(): The server have been shutdown, please re-create the server object in %s on line %d
bool(false)
bool(false)
bool(false)
x

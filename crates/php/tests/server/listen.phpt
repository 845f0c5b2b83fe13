--TEST--
Ports have callbacks and settings of their own, or those of the server
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => ';']);
    $own = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $own->set([]);
    $own->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, "own $data"));
    $same = $server->addlistener('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, "server $data\n"));
    var_dump($own instanceof Swoole\Server\Port, count($server->ports), $server->ports[1] === $own);
    run($server, function (Client $first, Client $own, Client $same) {
        echo $first->send('a;b')->line(), ' ', $own->ask('a;b'), ' ', $same->send('c;d')->line(), "\n";
    });
    unset($server, $own, $same);
}
?>
--EXPECT--
bool(true)
int(3)
bool(true)
server a; own a;b server c;
bool(true)
int(3)
bool(true)
server a; own a;b server c;

--TEST--
A port that cannot be listened on is a warning
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0);
$taken = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) explode(':', stream_socket_get_name($taken, false))[1];
var_dump($server->listen('127.0.0.1', $port, SWOOLE_SOCK_TCP), $server->getLastError());
var_dump(@$server->listen('127.0.0.1', $server->port, SWOOLE_SOCK_TCP), $server->getLastError(), @$server->listen('0.0.0.0', $server->port, SWOOLE_SOCK_TCP));
var_dump($server->listen('127.0.0.1', 70000, SWOOLE_SOCK_TCP));
var_dump($server->listen('127.0.0.1', 0, 77));
try {
    new Swoole\Server\Port();
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECTF--
Warning: Ostler\Server::listen(): failed to listen server port[127.0.0.1:%d], Error: Address already in use[98] in %s on line %d
bool(false)
int(98)
bool(false)
int(98)
bool(false)

Warning: Ostler\Server::listen(): invalid port[127.0.0.1:70000] or type[%d] in %s on line %d
bool(false)

Warning: Ostler\Server::listen(): invalid port[127.0.0.1:0] or type[77] in %s on line %d
bool(false)
Call to private Ostler\Server\Port::__construct() from global scope

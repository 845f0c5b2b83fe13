--TEST--
getSocket(): no listening socket is given away
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
var_dump($server->getSocket(), $server->getLastError() === SWOOLE_ERROR_OPERATION_NOT_SUPPORT);
var_dump($server->ports[0]->getSocket());
?>
--EXPECTF--
Warning: Ostler\Server::getSocket(): listening sockets belong to the master: set options of the port instead in %s on line %d
bool(false)
bool(true)

Warning: Ostler\Server\Port::getSocket(): listening sockets belong to the master: set options of the port instead in %s on line %d
bool(false)

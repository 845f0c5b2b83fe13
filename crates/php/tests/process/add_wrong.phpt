--TEST--
addProcess with what is no process is a fatal error
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$server->addProcess(new stdClass);
?>
--EXPECTF--
Fatal error: Ostler\Server::addProcess(): object is not instanceof Ostler\Process in %s on line %d

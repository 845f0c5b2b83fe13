--TEST--
start = exec is not for PHP programs, and reload_mode is not there
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['start' => 'exec', 'reload_mode' => 'fresh']);
$server->on('receive', fn () => 1);
$server->start();
?>
--EXPECTF--
Warning: Ostler\Server::set(): unsupported option [reload_mode]%S in %s on line %d

Fatal error: Ostler\Server::start(): workers of PHP programs are forks: start = exec is not for them in %s on line %d

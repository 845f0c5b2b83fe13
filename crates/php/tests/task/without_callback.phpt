--TEST--
Task workers without onTask: the server does not start
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$server->set(['task_worker_num' => 1]);
$server->on('receive', fn () => 1);
$server->start();
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): require 'onTask' callback in %s on line %d

--TEST--
A server without a callback for packages does not start
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
register_shutdown_function(fn () => print("shutdown function\n"));
$server->start();
echo "never\n";
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): require onReceive callback in %s on line %d
shutdown function

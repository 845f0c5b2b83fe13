--TEST--
Callbacks are private properties
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$server->on('start', fn () => 1);
$class = new ReflectionClass($server);
foreach (['onStart', 'onShutdown', 'onWorkerStart', 'onWorkerError', 'onAfterReload'] as $name) {
    var_dump($class->getProperty($name)->isPrivate());
}
$port = new ReflectionClass($server->ports[0]);
foreach (['onConnect', 'onReceive', 'onClose', 'onPacket', 'onBufferFull', 'onBufferEmpty'] as $name) {
    var_dump($port->getProperty($name)->isPrivate());
}
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)

--TEST--
Assigning to the list of connections does nothing
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$server->connections[5] = 'a session';
unset($server->connections[5]);
var_dump(isset($server->connections[5]), count($server->connections));
$server->ports[0]->connections[] = 5;
var_dump(count($server->ports[0]->connections));
?>
--EXPECT--
bool(false)
int(0)
int(0)

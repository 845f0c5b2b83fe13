--TEST--
A program may put what it likes on a server and a port
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$server->anything = [1];
$server->ports[0]->own = 'x';
$server->anything[] = 2;
var_dump($server->anything, $server->ports[0]->own, isset($server->nothing));
?>
--EXPECT--
array(2) {
  [0]=>
  int(1)
  [1]=>
  int(2)
}
string(1) "x"
bool(false)

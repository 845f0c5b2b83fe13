--TEST--
Atomic\\Long has 64 bits and a sign
--FILE--
<?php
$atomic = new Swoole\Atomic\Long(PHP_INT_MAX);
var_dump($atomic->add() === PHP_INT_MIN, $atomic->sub() === PHP_INT_MAX);
$atomic->set(-5);
var_dump($atomic->get(), $atomic->sub(5), $atomic->cmpset(-10, 3), $atomic->cmpset(-10, 4), $atomic->get());
?>
--EXPECT--
bool(true)
bool(true)
int(-5)
int(-10)
bool(true)
bool(false)
int(3)

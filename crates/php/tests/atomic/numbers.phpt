--TEST--
Atomic: add, sub, get, set, cmpset
--FILE--
<?php
$atomic = new Swoole\Atomic(5);
var_dump($atomic->get(), $atomic->add(), $atomic->add(10), $atomic->sub(), $atomic->sub(5));
$atomic->set(7);
var_dump($atomic->cmpset(1, 2), $atomic->cmpset(7, 2), $atomic->get());
$atomic->set(-1);
var_dump($atomic->get(), $atomic->add());
var_dump((new Swoole\Atomic())->get());
try {
    clone $atomic;
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECT--
int(5)
int(6)
int(16)
int(15)
int(10)
bool(false)
bool(true)
int(2)
int(4294967295)
int(0)
int(0)
Trying to clone an uncloneable object of class Ostler\Atomic

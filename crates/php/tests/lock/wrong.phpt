--TEST--
Lock: wrong types, constructed twice, cloned
--FILE--
<?php
function attempt(callable $act): void
{
    try {
        var_dump($act());
    } catch (Throwable $error) {
        echo get_class($error), ': ', $error->getMessage(), "\n";
    }
}
$lock = new Swoole\Lock;
attempt(fn () => new Swoole\Lock(2));
attempt(fn () => new Swoole\Lock('x'));
attempt(fn () => $lock->__construct());
attempt(fn () => clone $lock);
attempt(fn () => $lock->lock([]));
attempt(fn () => $lock->lock(3));
?>
--EXPECTF--
Ostler\Exception: lock type[2] is not support
TypeError: Ostler\Lock::__construct(): Argument #1 ($type) must be of type int, string given
Error: Constructor of Ostler\Lock can only be called once
Error: Trying to clone an uncloneable object of class Ostler\Lock
TypeError: Ostler\Lock::lock(): Argument #1 ($operation) must be of type int, array given

Warning: Ostler\Lock::lock(): invalid operation [3] in %s on line %d
bool(false)

--TEST--
Timers need a server that runs
--FILE--
<?php
var_dump(Swoole\Timer::after(10, fn () => 1));
?>
--EXPECTF--
Warning: Ostler\Timer::after(): timers run in the processes of a server that runs in %s on line %d
bool(false)

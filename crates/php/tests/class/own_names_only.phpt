--TEST--
With ostler.swoole_names=0 only the own names are there
--INI--
ostler.swoole_names=0
--FILE--
<?php
var_dump(class_exists('Swoole\\Server'), class_exists('Ostler\\Server'));
var_dump(defined('SWOOLE_PROCESS'), defined('OSTLER_PROCESS'), function_exists('swoole_version'));
?>
--EXPECT--
bool(false)
bool(true)
bool(false)
bool(true)
bool(false)

--TEST--
Table: incr and decr make rows and count
--FILE--
<?php
$table = new Swoole\Table(64);
$table->column('id', Swoole\Table::TYPE_INT);
$table->column('name', Swoole\Table::TYPE_STRING, 8);
$table->column('load', Swoole\Table::TYPE_FLOAT);
$table->create();
var_dump($table->incr('a', 'id'), $table->incr('a', 'id', 5), $table->decr('a', 'id', 2));
var_dump($table->incr('a', 'load', 0.25), $table->decr('a', 'load'));
var_dump(@$table->incr('a', 'name'), @$table->incr('a', 'nothing'));
?>
--EXPECT--
int(1)
int(6)
int(4)
float(0.25)
float(-0.75)
bool(false)
bool(false)

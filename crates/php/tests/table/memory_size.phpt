--TEST--
Table::getMemorySize, Table::$memorySize: what a table takes, whatever is in it
--FILE--
<?php
$table = new Swoole\Table(1000);
$table->column('name', Swoole\Table::TYPE_STRING, 100);
var_dump($table->getMemorySize(), $table->memorySize);
$table->create();
$size = $table->getMemorySize();
var_dump($size === $table->memorySize, $size > 1000 * 164);
// What the kernel has given for it.
$mapped = array_map(fn ($line) => sscanf($line, '%x-%x'), preg_grep('~memfd:.*table~', file('/proc/self/maps')));
var_dump(array_sum(array_map(fn ($range) => $range[1] - $range[0], $mapped)) - $size < 4096 * 2);
$table->set('one', ['name' => str_repeat('x', 100)]);
var_dump($table->getMemorySize() === $size);
$wider = new Swoole\Table(1000);
$wider->column('name', Swoole\Table::TYPE_STRING, 1000);
$wider->create();
var_dump($wider->getMemorySize() > $size + 900_000);
?>
--EXPECT--
NULL
NULL
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)

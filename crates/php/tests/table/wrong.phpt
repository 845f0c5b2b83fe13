--TEST--
Table: what it refuses
--FILE--
<?php
$table = new Swoole\Table(4);
var_dump(@$table->column('a', 9), @$table->column('b', Swoole\Table::TYPE_STRING));
var_dump($table->column('s', Swoole\Table::TYPE_STRING, 2));
try {
    $table->get('x');
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
var_dump($table->create(), @$table->create(), @$table->column('late', Swoole\Table::TYPE_INT));
var_dump($table->set('k', ['s' => 'long']), $table->get('k', 's'), @$table->set(str_repeat('k', 100), []));
for ($rows = 1; @$table->set("row $rows", []) && $rows < 1000; $rows++);
var_dump($rows >= 4 && $rows < 1000);
try {
    new Swoole\Table(0);
} catch (Swoole\Exception $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECTF--
bool(false)
bool(false)
bool(true)
table is not created or has been destroyed
bool(true)
bool(false)
bool(false)

Warning: Ostler\Table::set(): the value of the column [s] is too long and is cut in %s on line %d
bool(true)
string(2) "lo"
bool(false)
bool(true)
table size cannot be less than 1

--TEST--
Table: set, get, one field, what is not set stays
--FILE--
<?php
$table = new Swoole\Table(64);
$table->column('id', Swoole\Table::TYPE_INT);
$table->column('name', Swoole\Table::TYPE_STRING, 8);
$table->column('load', Swoole\Table::TYPE_FLOAT);
$table->create();
var_dump($table->set('a', ['id' => 1, 'name' => 'Ada', 'load' => 0.5]));
echo json_encode([$table->get('a'), $table->get('a', 'name'), $table->get('a', 'nothing'), $table->get('b')]), "\n";
var_dump($table->set('a', ['id' => '7']));
echo json_encode([$table->get('a', 'id'), $table->get('a', 'name')]), "\n";
var_dump($table->set('b', []));
echo json_encode($table->get('b'), JSON_PRESERVE_ZERO_FRACTION), "\n";
?>
--EXPECT--
bool(true)
[{"id":1,"name":"Ada","load":0.5},"Ada",false,false]
bool(true)
[7,"Ada"]
bool(true)
{"id":0,"name":"","load":0.0}

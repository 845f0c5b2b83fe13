--TEST--
Table: add, update, cmpset, cmpdel, getdel, stats
--FILE--
<?php
$table = new Swoole\Table(64);
$table->column('id', Swoole\Table::TYPE_INT);
$table->column('name', Swoole\Table::TYPE_STRING, 8);
$table->column('load', Swoole\Table::TYPE_FLOAT);
$table->create();
$told = fn (mixed ...$values) => print(json_encode($values) . "\n");

$told($table->update('a', ['id' => 1]), $table->exists('a'));
$told($table->add('a', ['id' => 1, 'name' => 'Ada']), $table->add('a', ['id' => 2]), $table->get('a', 'id'));
$told($table->update('a', ['load' => 0.5]), $table->get('a'));
// Values are converted as those that are set; what is not expected may be anything.
$told($table->cmpset('a', ['id' => '1', 'name' => 'Ada'], ['id' => 2]), $table->cmpset('a', ['id' => 1], ['id' => 3]), $table->get('a', 'id'));
$told($table->cmpset('a', ['load' => 0.5], ['name' => 'Bob']), $table->cmpset('a', [], ['load' => 1.5]), $table->get('a'));
$told($table->cmpset('a', ['nothing' => 1], ['id' => 9]), $table->cmpset('b', [], ['id' => 9]), $table->exists('b'));
$told($table->cmpdel('a', ['name' => 'Ada']), $table->cmpdel('a', ['name' => 'Bob']), $table->exists('a'), $table->cmpdel('a', []));

$table->set('c', ['id' => 7, 'name' => 'Cy']);
$told($table->getdel('c', 'nothing'), $table->getdel('c', 'name'), $table->getdel('c', 'name'), $table->exists('c'));
$table->set("\xff", ['id' => 8]);
foreach ($table as $key => $row) {
    $told(bin2hex($key), $row['id'], $table->stats()['num'], $table->getdel($key), count($table), $table->stats()['num']);
}
$told($table->set('5', ['id' => 5]), $table->get('5', 'id'));
?>
--EXPECT--
[false,false]
[true,false,1]
[true,{"id":1,"name":"Ada","load":0.5}]
[true,false,2]
[true,true,{"id":2,"name":"Bob","load":1.5}]
[false,false,false]
[false,true,false,false]
[false,"Cy",false,false]
["ff",8,1,{"id":8,"name":"","load":0},0,0]
[true,5]

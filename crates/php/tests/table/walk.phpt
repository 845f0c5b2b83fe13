--TEST--
Table: walk, count, exists, del
--FILE--
<?php
$table = new Swoole\Table(64);
$table->column('id', Swoole\Table::TYPE_INT);
$table->create();
foreach (['x', 'y', 'z'] as $number => $key) {
    $table->set($key, ['id' => $number]);
}
var_dump(count($table), $table->exists('x'), $table->exist('w'), $table->del('y'), $table->delete('y'), $table->count());
$found = [];
foreach ($table as $key => $row) {
    $found[$key] = $row['id'];
}
ksort($found);
echo json_encode($found), ' ', $table->getSize(), "\n";
?>
--EXPECT--
int(3)
bool(true)
bool(false)
bool(true)
bool(false)
int(2)
{"x":0,"z":2} 64

--TEST--
Table: $size is what was asked for, and a table that was destroyed is none, in the midst of a walk as well
--FILE--
<?php
$table = new Swoole\Table(8);
$table->column('n', Swoole\Table::TYPE_INT);
var_dump($table->size, $table->getSize());
$tried = function (callable $call) {
    try {
        var_dump($call());
    } catch (Error $error) {
        echo $error->getMessage(), "\n";
    }
};
$tried(fn () => $table->destroy());
$table->create();
$table->set('a', ['n' => 1]);
$table->set('b', ['n' => 2]);
$walked = 0;
foreach ($table as $key => $row) {
    $walked++;
    $table->destroy();
}
var_dump($walked, $row['n'] > 0);
$tried(fn () => $table->get('a'));
$tried(fn () => $table->set('a', ['n' => 1]));
$tried(fn () => count($table));
$tried(fn () => $table->destroy());
$tried(fn () => @$table->create());
?>
--EXPECT--
int(8)
int(8)
table is not created or has been destroyed
int(1)
bool(true)
table is not created or has been destroyed
table is not created or has been destroyed
table is not created or has been destroyed
table is not created or has been destroyed
bool(false)

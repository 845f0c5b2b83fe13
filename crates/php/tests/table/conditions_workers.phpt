--TEST--
Table: of many processes that add, take or replace the same row, one does
--FILE--
<?php
const PROCESSES = 4;
const ROUNDS = 300;
$table = new Swoole\Table(1024);
$table->column('n', Swoole\Table::TYPE_INT);
$table->create();
$tickets = array_map(fn (int $number) => "ticket$number", range(1, ROUNDS));
foreach ($tickets as $ticket) {
    $table->set($ticket, []);
    $table->set("old $ticket", []);
}
$table->set('turn', ['n' => 0]);
$children = [];
for ($process = 1; $process <= PROCESSES; $process++) {
    $child = pcntl_fork();
    if ($child > 0) {
        $children[] = $child;
        continue;
    }
    $won = ['added' => 0, 'taken' => 0, 'deleted' => 0];
    foreach ($tickets as $ticket) {
        $won['added'] += (int) $table->add("new $ticket", ['n' => $process]);
        $won['taken'] += (int) is_array($table->getdel($ticket));
        $won['deleted'] += (int) $table->cmpdel("old $ticket", ['n' => 0]);
    }
    // Each step is taken by somebody, and by nobody twice.
    for ($steps = 0; $steps < ROUNDS;) {
        $n = $table->get('turn', 'n');
        $steps += (int) $table->cmpset('turn', ['n' => $n], ['n' => $n + 1]);
    }
    foreach ($won as $what => $count) {
        $table->incr("sum $what", 'n', $count);
    }
    exit(0);
}
foreach ($children as $child) {
    pcntl_waitpid($child, $status);
    $status === 0 || print("a process ended with $status\n");
}
foreach (['added', 'taken', 'deleted'] as $what) {
    echo "$what: ", $table->get("sum $what", 'n'), "\n";
}
echo 'steps: ', $table->get('turn', 'n') / PROCESSES, "\n";
?>
--EXPECT--
added: 300
taken: 300
deleted: 300
steps: 300

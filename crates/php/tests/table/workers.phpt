--TEST--
Table: rows outlive the worker that wrote them
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$table = new Swoole\Table(16);
$table->column('count', Swoole\Table::TYPE_INT);
$table->create();
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'crash_policy' => 'drop']);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use ($table) {
    $count = $table->incr('all', 'count');
    $data === "die\n" && kill(getmypid(), SIGKILL);
    $server->send($fd, "$count\n");
});
run($server, function (Client $client) use ($server) {
    $client->ask('one');
    $client->send("die\n");
    $other = new Client(address_of($server->ports[0]));
    wait_until('the count of the dead', fn () => (int) $other->ask('x') >= 3);
    echo "kept\n";
}, ['worker died']);
?>
--EXPECT--
kept

--TEST--
What happens to the server is told in a process of its own (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$told = scratch_file();
$master = getmypid();
foreach (['start', 'managerStart', 'beforeShutdown', 'managerStop', 'shutdown'] as $event) {
    $server->on($event, function (Swoole\Server $server) use ($event, $told, $master) {
        $where = getmypid() === $master ? 'in the master' : 'beside it';
        file_put_contents($told, "$event $where " . var_export($server->master_pid === $master, true) . "\n", FILE_APPEND);
    });
}
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, function (Client $client) use ($told) {
    echo $client->ask('up'), "\n";
    wait_until('the start', fn () => preg_match('/^start/m', file_get_contents($told)));
});
$lines = file($told, FILE_IGNORE_NEW_LINES);
sort($lines);
echo implode("\n", $lines), "\n";
?>
--EXPECT--
up
beforeShutdown beside it true
managerStart beside it true
managerStop beside it true
shutdown beside it true
start beside it true

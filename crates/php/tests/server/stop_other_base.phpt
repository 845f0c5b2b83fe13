--TEST--
stop() of another worker, event or task worker, from a worker, from an added process: it is replaced, and nobody notices (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 2, 'task_worker_num' => 1]);
$told = scratch_file();
$from = new Swoole\Process(function (Swoole\Process $process) use ($server) {
    while (true) {
        [$fd, $id] = explode(' ', $process->read());
        $server->send((int) $fd, var_export($server->stop((int) $id), true) . "\n");
    }
});
$server->addProcess($from);
$server->on('workerStop', fn ($server, int $id) => file_put_contents($told, "$id "));
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($from) {
    [$what, $id] = explode(' ', trim($data)) + [1 => 0];
    match ($what) {
        'pid' => $server->send($fd, $server->getWorkerPid((int) $id) . "\n"),
        'own' => $server->send($fd, $server->worker_id . "\n"),
        'stop' => $server->send($fd, var_export($server->stop((int) $id), true) . "\n"),
        'process' => $from->write("$fd $id"),
        'wrong' => $server->send($fd, json_encode([@$server->stop(3), error_get_last()['message'], @$server->stop(-2), @$server->stop(PHP_INT_MAX)]) . "\n"),
    };
});
$server->on('task', fn () => 1);
run($server, function (Client $client) {
    $other = 1 - (int) $client->ask('own');
    foreach (["stop $other", 'stop 2', "process $other", 'process 2'] as $how) {
        $id = (int) substr($how, -1);
        $before = $client->ask("pid $id");
        echo $client->ask($how), ' ';
        wait_until('another one', fn () => !in_array($client->ask("pid $id"), [$before, ''], true));
    }
    echo $client->ask('wrong'), "\n";
});
?>
--EXPECT--
true true true true [false,"Ostler\\Server::stop(): invalid worker id[3]",false,false]

--TEST--
worker_num: how many workers there are, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    foreach ([1, 3] as $count) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set(['worker_num' => $count]);
        $server->on('receive', function (Swoole\Server $server, int $fd) {
            $server->send($fd, json_encode(array_map([$server, 'getWorkerPid'], range(0, 3))) . "\n");
        });
        run($server, function (Client $client) {
            $all = [];
            wait_until('all workers', function () use ($client, &$all) {
                $pids = array_filter(json_decode($client->ask('x')));
                $new = array_diff($pids, $all);
                $all = $pids;
                return $new === [];
            });
            echo count(array_unique($all)), ' ';
        });
    }
}
?>
--EXPECT--
1 3 1 3

--TEST--
Numbers of workers: with 0, too many or the engine's names, task workers have the numbers behind event workers, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    foreach ([['worker_num' => 0], ['worker_num' => 2], ['workers' => 3], []] as $settings) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set($settings + ['task_worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
        $server->on('task', fn (Swoole\Server $server) => $server->worker_id);
        $server->on('pipeMessage', fn () => null);
        $server->on('receive', function (Swoole\Server $server, int $fd) {
            $workers = $server->stats()['worker_num'];
            $task = $server->taskwait('who are you?', 10);
            $is_known = $server->getWorkerPid($workers) > 0 && !$server->getWorkerPid($workers + 1);
            $server->send($fd, json_encode([$task === $workers, $is_known, $server->setting['worker_num'] === $workers]) . " $workers\n");
        });
        run($server, function (Client $client) use ($settings, $mode) {
            [$told, $workers] = explode(' ', $client->ask('what is there?'));
            $expected = match (true) {
                isset($settings['workers']) => 3,
                ($settings['worker_num'] ?? 0) > 0 => 2,
                $settings === [] && $mode === SWOOLE_BASE => 1,
                default => swoole_cpu_num(),
            };
            echo $told, (int) $workers === min($expected, 256) ? '' : " $workers", "\n";
        });
    }
}
// Fewer than none are none.
$server = new Swoole\Server('127.0.0.1', 0);
$server->set(['worker_num' => 1, 'task_worker_num' => -1, 'log_file' => '/dev/null']);
$server->on('receive', fn () => null);
$server->on('workerStart', function (Swoole\Server $server) {
    echo json_encode([$server->task('x'), $server->worker_id]), "\n";
    $server->shutdown();
});
$server->start();
?>
--EXPECTF--
[true,true,false]
[true,true,true]
[true,true,true]
[true,true,true]
[true,true,false]
[true,true,true]
[true,true,true]
[true,true,true]

Warning: Ostler\Server::task(): task method cannot be executed without task worker in %s on line %d
[false,0]

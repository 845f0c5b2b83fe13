--TEST--
A server in the background: pid_file, master_pid, shutdown() by a worker, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$code = <<<'CODE'
    [$mode, $log, $pids, $ports] = array_slice($argv, 1);
    $server = new Swoole\Server('127.0.0.1', 0, (int) $mode);
    $server->set(['daemonize' => true, 'log_file' => $log, 'pid_file' => $pids, 'worker_num' => 1]);
    $server->on('receive', function ($server, int $fd, int $reactor, string $data) {
        $server->send($fd, $server->master_pid . "\n");
        $data === "end\n" && $server->shutdown();
    });
    file_put_contents($ports, $server->port);
    $server->start();
CODE;
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $files = array_map(fn () => scratch_file(), ['log', 'pid', 'port']);
    [$log, $pids, $ports] = $files;
    $process = proc_open([...own_php(), '-r', $code, (string) $mode, ...$files], [], $pipes);
    var_dump(proc_close($process));
    $client = new Client('tcp://127.0.0.1:' . file_get_contents($ports));
    $master = $client->ask('who');
    var_dump($master === trim(file_get_contents($pids)), (int) $master !== getmypid());
    $client->ask('end');
    $client->rest();
    wait_until('the end', fn () => !file_exists("/proc/$master"));
    check_log($log);
    echo "ended\n";
}
?>
--EXPECT--
int(0)
bool(true)
bool(true)
ended
int(0)
bool(true)
bool(true)
ended

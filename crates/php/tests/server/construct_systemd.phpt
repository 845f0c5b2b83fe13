--TEST--
new Server('SYSTEMD', 0) takes the listeners that the process was started with, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$code = <<<'CODE'
    $server = new Swoole\Server('SYSTEMD', 0, (int) $argv[1]);
    $server->set(['worker_num' => 1, 'log_file' => $argv[2], 'backlog' => 7]);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
        $server->send($fd, json_encode([count($server->ports), $server->host, $server->port, $server->ports[1]->type]) . "\n");
        $data === "end\n" && $server->shutdown();
    });
    $server->start();
CODE;
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $log = scratch_file();
    $path = sys_get_temp_dir() . '/ostler-passed-' . getmypid() . '.sock';
    $listeners = [stream_socket_server('tcp://127.0.0.1:0'), stream_socket_server("unix://$path")];
    $address = stream_socket_get_name($listeners[0], false);
    $command = ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"', 'sh', ...own_php(), '-r', $code, (string) $mode, $log];
    $process = proc_open($command, [3 => $listeners[0], 4 => $listeners[1]], $pipes);
    array_map('fclose', $listeners);
    $expected = json_encode([2, '127.0.0.1', (int) substr(strrchr($address, ':'), 1), SWOOLE_SOCK_UNIX_STREAM]);
    var_dump((new Client("tcp://$address"))->ask('x') === $expected, (new Client("unix://$path"))->ask('end') === $expected);
    var_dump(proc_close($process));
    check_log($log);
    unlink($path);
}
try {
    new Swoole\Server('SYSTEMD', 0);
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECT--
bool(true)
bool(true)
int(0)
bool(true)
bool(true)
int(0)
systemd has passed no listener to this process

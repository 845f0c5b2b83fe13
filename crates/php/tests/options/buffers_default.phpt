--TEST--
Two megabytes wait for a client that does not read when nothing is said of it; the engine's own option counts, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

const CHUNK = 16384;

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1]);
    $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP)->set([]);
    $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP)->set(['send_queue_high' => '256K']);
    $told = scratch_file();
    $server->on('receive', function (Swoole\Server $server, int $fd) use ($told) {
        for ($sent = 0; $server->send($fd, str_repeat('x', CHUNK)); $sent += CHUNK);
        $waits = $server->getClientInfo($fd)['send_queued_bytes'];
        file_put_contents($told, sprintf("%.1f MiB, %d\n", $waits / 1048576, $server->getLastError()), FILE_APPEND);
        $server->close($fd);
    });
    run($server, function (Client ...$clients) use ($told) {
        foreach ($clients as $client) {
            $client->send('all of it')->rest();
        }
        echo file_get_contents($told);
    });
}
?>
--EXPECTF--
2.%d MiB, 1009
2.%d MiB, 1009
0.%d MiB, 1009
2.%d MiB, 1009
2.%d MiB, 1009
0.%d MiB, 1009

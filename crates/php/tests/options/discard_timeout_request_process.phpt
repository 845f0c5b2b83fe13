--TEST--
discard_timeout_request: what a client had sent before its connection failed is not handled (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([false, true] as $discards) {
    [$count, $is_over] = [0, false];
    [$held, $go] = [scratch_file(), scratch_file()];
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
    $server->set(['worker_num' => 1, 'discard_timeout_request' => $discards, 'log_level' => SWOOLE_LOG_DEBUG]);
    $server->set(['open_eof_split' => true, 'package_eof' => "\n", 'prefetch_us' => 0]);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($held, $go) {
        global $count, $is_over;
        if ($data === "count\n") {
            return $server->send($fd, $is_over ? "$count\n" : "not over\n");
        }
        if (++$count === 1) {
            $server->send($fd, 'unread');
            file_put_contents($held, 'held');
            wait_until('the word', fn () => clearstatcache() === null && filesize($go) > 0);
        }
    });
    $server->on('close', fn () => $GLOBALS['is_over'] = true);
    run($server, function (Client $watcher) use ($server, $held, $go) {
        $client = stream_socket_client(address_of($server->ports[0]));
        fwrite($client, "1\n");
        wait_until('the first package', fn () => clearstatcache() === null && filesize($held) > 0);
        fwrite($client, "2\n3\n4\n");
        // A connection that is closed with something unread is reset.
        [$read, $write, $except] = [[$client], [], []];
        stream_select($read, $write, $except, (int) PATIENCE_S);
        fclose($client);
        wait_until('the end of the session', fn () => str_contains(log_of($server), 'session closed'));
        file_put_contents($go, 'go');
        wait_until('the last package', function () use ($watcher, &$count) {
            return ($count = $watcher->ask('count')) !== 'not over';
        });
        echo "$count\n";
    });
}
?>
--EXPECT--
4
1

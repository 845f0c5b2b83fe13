--TEST--
stats: what the server has done, told to a worker (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    if ($data === "stats\n") {
        $server->send($fd, json_encode($server->stats()) . "\n");
    } else {
        $server->send($fd, $data);
    }
});
$since = time();
run($server, function (Client $client) use ($server, $since) {
    $stats = fn () => json_decode($client->ask('stats'), true);
    wait_until('the first client', function () use ($stats, &$first) {
        $first = $stats();
        // The second worker may begin a little later.
        return $first['accept_count'] === 1 && $first['idle_worker_num'] === 1;
    });
    echo implode(' ', array_keys($first)), "\n";
    var_dump(array_filter($first, fn ($value) => !is_int($value) || $value < 0));
    echo json_encode(array_intersect_key($first, array_flip(['connection_num', 'accept_count', 'close_count', 'abort_count', 'worker_num', 'task_worker_num', 'user_worker_num']))), "\n";
    var_dump(abs($first['start_time'] - $since) < 60, $first['idle_worker_num'] === 1);
    for ($sent = 0; $sent < 5; ++$sent) {
        $client->ask("echo $sent");
    }
    $other = new Client(address_of($server));
    $other->ask('hello');
    $other->close();
    // What has just been done may be told a little later.
    wait_until('the figures', function () use ($stats, &$last) {
        $last = $stats();
        return $last['close_count'] === 1 && $last['request_count'] >= 7;
    });
    echo "$last[connection_num] $last[accept_count] $last[close_count]\n";
    var_dump($last['dispatch_count'] >= 8, $last['response_count'] >= 7, $last['total_recv_bytes'] > $first['total_recv_bytes'], $last['total_send_bytes'] > 100);
    var_dump($last['session_round'] >= 2, $last['worker_request_count'] <= $last['request_count'], $last['worker_response_count'] >= 1, $last['worker_dispatch_count'] >= 1);
});
?>
--EXPECT--
start_time connection_num abort_count accept_count close_count worker_num task_worker_num user_worker_num idle_worker_num dispatch_count request_count response_count total_recv_bytes total_send_bytes pipe_packet_msg_id concurrency session_round min_fd max_fd worker_request_count worker_response_count worker_dispatch_count worker_concurrency coroutine_num coroutine_peek_num
array(0) {
}
{"connection_num":1,"abort_count":0,"accept_count":1,"close_count":0,"worker_num":2,"task_worker_num":0,"user_worker_num":0}
bool(true)
bool(true)
1 2 1
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)

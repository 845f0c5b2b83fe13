--TEST--
A worker that is killed: the next one serves, the event has the signal
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$told = scratch_file();
$server->set(['worker_num' => 1, 'crash_policy' => 'redeliver:3']);
$server->on('receive', function ($server, $fd, $reactor, $data) use ($told) {
    $server->send($fd, getmypid() . "\n");
    if ($data === "kill\n" && filesize($told) === 0) {
        file_put_contents($told, getmypid());
        kill(getmypid(), SIGKILL);
    }
});
$server->on('workerError', function ($server, int $id, int $pid, int $code, int $signal) use ($told) {
    file_put_contents($told, "$id $code $signal " . var_export($pid === (int) file_get_contents($told), true));
});
run($server, function (Client $client) use ($told) {
    $before = $client->ask('one');
    $after = $client->ask('kill');
    var_dump($before !== $after);
    wait_until('the event', fn () => str_contains(file_get_contents($told), ' '));
    readfile($told);
}, ['worker died']);
?>
--EXPECT--
bool(true)
0 0 9 true

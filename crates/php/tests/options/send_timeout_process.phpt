--TEST--
send_timeout: how long a send waits for room on the way to the master (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

/** By itself one waits for a second. */
const SENDS = 60;

$parent = getmypid();
[$held, $go] = [scratch_file(), scratch_file()];
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'send_timeout' => 0.01, 'socket_buffer_size' => '64M']);
$server->on('receive', function (Swoole\Server $server, int $fd) use ($held, $go) {
    file_put_contents($held, 'held');
    wait_until('the word', fn () => clearstatcache() === null && filesize($go) > 0);
    for ($sent = 0; @$server->send($fd, str_repeat('x', 16000)); $sent++);
    $begun = microtime(true);
    for ($refused = 1; $refused < SENDS; $refused++) {
        @$server->send($fd, str_repeat('x', 16000)) && $sent++;
    }
    file_put_contents($held, json_encode([$sent > 0, microtime(true) - $begun < SENDS / 2]));
});
run($server, function (Client $client) use ($parent, $held, $go) {
    $size = fn () => clearstatcache() === null ? filesize($held) : 0;
    $client->send('x');
    wait_until('the package', fn () => $size() === 4);
    kill($parent, SIGSTOP);
    file_put_contents($go, 'go');
    wait_until('the sends', fn () => $size() > 4);
    kill($parent, SIGCONT);
    echo file_get_contents($held), "\n";
});
?>
--EXPECT--
[true,true]

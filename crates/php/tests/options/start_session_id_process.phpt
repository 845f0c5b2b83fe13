--TEST--
start_session_id is the number before the first session (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['start_session_id' => 1000]);
$server->on('receive', fn ($server, $fd) => $server->send($fd, "$fd\n"));
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
1001

--TEST--
Events of a worker and of a session come in their order (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$told = scratch_file();
$tell = fn (string $text) => file_put_contents($told, "$text\n", FILE_APPEND | LOCK_EX);
$server->on('workerStart', fn ($server, int $id) => $tell("workerStart $id"));
$server->on('connect', fn ($server, int $fd, int $reactor) => $tell("connect $fd $reactor"));
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use ($tell) {
    $tell("receive $fd $reactor " . trim($data));
    $server->send($fd, $data);
});
$server->on('close', fn ($server, int $fd, int $reactor) => $tell("close $fd $reactor"));
$server->on('workerExit', fn ($server, int $id) => $tell("workerExit $id"));
$server->on('workerStop', fn ($server, int $id) => $tell("workerStop $id"));
run($server, function (Client $client) use ($told) {
    $client->ask('one');
    $client->ask('two');
    $client->close();
    wait_until('the close', fn () => str_contains(file_get_contents($told), 'close'));
});
readfile($told);
?>
--EXPECT--
workerStart 0
connect 1 0
receive 1 0 one
receive 1 0 two
close 1 0
workerExit 0
workerStop 0

--TEST--
exists() is false from close() on, in the worker that has closed and in others (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($told) {
    $found = [$server->exists($fd), $server->close($fd, trim($data) === 'reset'), $server->exists($fd), $server->exist($fd), $server->close($fd), $server->getLastError(), is_array($server->getClientInfo($fd))];
    file_put_contents($told, json_encode($found) . "\n", FILE_APPEND);
});
$server->on('close', fn ($server, int $fd) => file_put_contents($told, json_encode([$server->exists($fd), $server->exists($fd + 1)]) . "\n", FILE_APPEND));
run($server, function (Client $client) use ($server, $told) {
    $client->send("close\n")->rest();
    wait_until('the close', fn () => substr_count(file_get_contents($told), "\n") === 2);
    (new Client(address_of($server->ports[0])))->send("reset\n");
    wait_until('the other close', fn () => substr_count(file_get_contents($told), "\n") === 4);
    readfile($told);
});
?>
--EXPECT--
[true,true,false,false,false,1004,true]
[false,false]
[true,true,false,false,false,1004,true]
[false,false]

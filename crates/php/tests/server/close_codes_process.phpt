--TEST--
close(): unknown, closing, closed sessions and their codes (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$server->on('close', function ($server, int $fd) use ($told) {
    file_put_contents($told, json_encode([$server->close($fd), $server->getLastError(), $server->exists($fd), $server->send($fd, 'x'), is_array($server->getClientInfo($fd))]) . "\n", FILE_APPEND);
});
$server->on('receive', function ($server, int $fd) {
    $server->send($fd, json_encode([$server->close(12345), $server->getLastError(), $server->close(0), $server->close(-1), @$server->close(PHP_INT_MAX)]) . "\n");
    $server->close($fd);
});
run($server, function (Client $client) use ($told) {
    echo $client->ask('x'), "\n", json_encode($client->rest()), "\n";
    wait_until('the close', fn () => file_get_contents($told) !== '');
    readfile($told);
});
?>
--EXPECT--
[false,1005,false,false,false]
""
[false,1003,false,false,true]

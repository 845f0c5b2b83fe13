--TEST--
A close by the server has the reactor -1; the session is gone for everybody (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$told = scratch_file();
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $server->send($fd, "last words\n");
    $server->close($fd);
});
$server->on('close', function ($server, int $fd, int $reactor) use ($told) {
    $text = var_export([$reactor, $server->exist($fd), $server->close($fd), $server->getLastError()], true);
    file_put_contents($told, $text . ' ' . $server->getClientInfo($fd)['remote_ip']);
});
run($server, function (Client $client) use ($told) {
    echo $client->send("x\n")->rest();
    wait_until('the event', fn () => filesize($told) > 0 || clearstatcache());
});
echo strtr(file_get_contents($told), ["\n" => ' ']), "\n";
?>
--EXPECT--
last words
array (   0 => -1,   1 => false,   2 => false,   3 => 1003, ) 127.0.0.1

--TEST--
An exception in onClose ends the worker, and the session is closed once (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$told = scratch_file();
$GLOBALS['told'] = $told;
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));

$server->on('close', function () use ($told) {
    ini_set('display_errors', '0');
    file_put_contents($told, "close\n", FILE_APPEND);
    throw new Exception('on purpose');
});
run($server, function (Client $client) use ($server) {
    $client->ask('x');
    $client->close();
    wait_until('the close', fn () => filesize($GLOBALS['told']) > 0 || clearstatcache());
    echo (new Client(address_of($server->ports[0])))->ask('served on'), "\n";
}, ['worker died']);
?>
--EXPECT--
served on

--TEST--
sendfile() sends a part of a file, and says what is no file (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$file = scratch_file();

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    file_put_contents($GLOBALS["file"], '0123456789');
    var_dump($server->sendfile($fd, $GLOBALS["file"]), $server->sendfile($fd, $GLOBALS["file"], 8), $server->sendfile($fd, $GLOBALS["file"], 2, 3));
    var_dump(@$server->sendfile($fd, '/no/such/file'), $server->getLastError(), @$server->sendfile($fd, '/tmp'), $server->getLastError());
    var_dump(@$server->sendfile($fd, $GLOBALS["file"], 8, 3), @$server->sendfile($fd, $GLOBALS["file"], 1, PHP_INT_MAX), $server->getLastError());
    var_dump(@$server->sendfile($fd, $GLOBALS["file"], 10), @$server->sendfile($fd, $GLOBALS["file"], -1), @$server->sendfile($fd, str_repeat('x', 9000)), $server->getLastError());

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
012345678989234bool(true) bool(true) bool(true) bool(false) int(502) bool(false) int(9013) bool(false) bool(false) int(505) bool(false) bool(false) bool(false) int(504)

--TEST--
A unix socket: the file is there while the server runs
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$path = sys_get_temp_dir() . '/ostler-' . getmypid() . '.sock';
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server($path, 0, $mode, SWOOLE_SOCK_UNIX_STREAM);
    $server->set(['worker_num' => 1]);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
    run($server, fn (Client $client) => print($client->ask('by a file') . "\n"));
    var_dump(file_exists($path));
    unset($server);
}
?>
--EXPECT--
by a file
bool(false)
by a file
bool(false)

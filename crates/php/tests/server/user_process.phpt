--TEST--
Workers of another user (PROCESS mode)
--SKIPIF--
<?php
if (trim(shell_exec('id -u')) !== '0') {
    die('skip only root can');
}
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['user' => 'nobody']);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    preg_match('/^Uid:\s+(\d+)/m', file_get_contents('/proc/self/status'), $found);
    $server->send($fd, "$found[1]\n");
});
run($server, function (Client $client) use ($server) {
    var_dump($client->ask('x') !== '0');
}, []);
?>
--EXPECT--
bool(true)

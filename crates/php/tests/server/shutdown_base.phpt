--TEST--
shutdown() ends the server, and start() returns true (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$log = scratch_file();
$server->set(['log_file' => $log]);
$server->on('receive', fn ($server) => $server->shutdown());
$child = pcntl_fork();
if ($child === 0) {
    (new Client(address_of($server->ports[0])))->send('end')->rest();
    leave();
}
var_dump($server->start());
pcntl_waitpid($child, $status);
check_log($log);
?>
--EXPECT--
bool(true)

--TEST--
A server whose workers cannot start ends, and says why
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'log_file' => scratch_file()]);
$server->on('workerStart', function () {
    ini_set('display_errors', '0');
    throw new DomainException('not today');
});
$server->on('receive', fn () => 1);
$server->start();
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): failed to start server. Error: %aDomainException: not today in %s

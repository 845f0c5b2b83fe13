--TEST--
Who a worker is (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$master = getmypid();

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump($server->getWorkerId(), $server->worker_id, $server->getWorkerPid() === getmypid(), $server->worker_pid === getmypid());
    var_dump($server->getMasterPid() === $GLOBALS['master'], $server->getManagerPid() > 0, $server->taskworker, $server->getWorkerPid(99));

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
int(0) int(0) bool(true) bool(true) bool(true) bool(true) bool(false) bool(false)

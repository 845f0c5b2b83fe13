--TEST--
Process: a worker starts one, which is no worker; signals in a worker's loop (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

use Swoole\Process;

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('workerStart', function ($server) {
    var_dump(@Process::signal(SIGTERM, fn () => 1));
    Process::signal(SIGCHLD, function () use ($server) {
        $ended = Process::wait(false);
        $ended && $server->send(1, "ended with $ended[code]\n");
    });
});
$server->on('receive', function ($server, int $fd) {
    (new Process(function (Process $process) use ($server, $fd) {
        $process->exit(@$server->send($fd, "no\n") ? 1 : 2);
    }, false, 0))->start();
});
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
?>
--EXPECT--
bool(false)
ended with 2

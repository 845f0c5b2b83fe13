--TEST--
addProcess: a process beside the workers, which talks with them and with clients (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$process = new Swoole\Process(function (Swoole\Process $process) use ($server) {
    while (($asked = $process->read()) !== false) {
        $server->send((int) $asked, json_encode([$process->id, $process->pid === getmypid(), $server->getWorkerId(), $server->worker_id, $server->getWorkerPid() === getmypid()]) . "\n");
    }
});
var_dump($server->addProcess($process), $server->addProcess(new Swoole\Process(fn () => sleep(60))));
$server->on('receive', fn ($server, int $fd) => $process->write((string) $fd));
run($server, function (Client $client) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
int(0)
int(1)
[1,true,false,-1,true]

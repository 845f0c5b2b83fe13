--TEST--
exit(0) in a callback ends the worker like any other code: its client is told, onWorkerError too, and another worker serves (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $data === "leave\n" ? exit(0) : $server->send($fd, $data);
});
$server->on('workerError', function ($server, int $id, int $pid, int $code, int $signal) use ($told) {
    file_put_contents($told, "worker $id ended with code $code and signal $signal\n", FILE_APPEND);
});
run($server, function (Client $client) use ($server, $told) {
    echo $client->ask('before'), "\n";
    echo $client->send("leave\n")->rest() === '' ? "closed\n" : "answered\n";
    wait_until('the event', fn () => str_contains(file_get_contents($told), "worker 0 ended"));
    echo (new Client(address_of($server->ports[0])))->ask('after'), "\n";
    readfile($told);
}, ['worker died']);
?>
--EXPECT--
before
closed
after
worker 0 ended with code 0 and signal 0

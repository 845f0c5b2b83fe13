--TEST--
What ends a worker: exception (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    if ($data === "fault\n") {
        ini_set('display_errors', '0');
        throw new RuntimeException("on purpose");
    }
    $server->send($fd, $data);
});
$server->on('workerError', function ($server, int $id, int $pid, int $code, int $signal) use ($told) {
    file_put_contents($told, "worker $id ended with code $code and signal $signal\n", FILE_APPEND);
});
$master = getmypid();
register_shutdown_function(function () use ($told, $master) {
    if (getmypid() !== $master && error_get_last() !== null) {
        file_put_contents($told, 'shutdown function after: ' . strtok(error_get_last()['message'], "\n") . "\n", FILE_APPEND);
    }
});
run($server, function (Client $client) use ($server, $told) {
    echo $client->ask('before'), "\n";
    echo $client->send("fault\n")->rest() === '' ? "closed\n" : "answered\n";
    wait_until('the event', fn () => str_contains(file_get_contents($told), 'worker 0 ended'));
    echo (new Client(address_of($server->ports[0])))->ask('after'), "\n";
    readfile($told);
}, ['worker died']);
?>
--EXPECTF--
before
closed
after
shutdown function after: Uncaught RuntimeException: on purpose in %s
worker 0 ended with code 255 and signal 0

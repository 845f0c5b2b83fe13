--TEST--
With crash_policy = redeliver the next worker answers (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$flag = scratch_file();
$server->set(['crash_policy' => 'redeliver:2']);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use ($flag) {
    ini_set('display_errors', '0');
    if (filesize($flag) === 0) {
        file_put_contents($flag, 'x');
        throw new Exception('once');
    }
    $server->send($fd, $data);
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('hello'), "\n";
}, ['worker died']);
?>
--EXPECT--
hello

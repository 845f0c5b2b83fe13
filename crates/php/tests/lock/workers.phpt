--TEST--
Lock: workers exclude each other, and one that is killed with it keeps nobody out
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$lock = new Swoole\Lock;
$file = scratch_file();
file_put_contents($file, '0');
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 3, 'dispatch_mode' => 1, 'open_eof_split' => true, 'package_eof' => "\n", 'crash_policy' => 'drop']);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use ($lock, $file) {
    $lock->lock();
    $data === "die\n" && kill(getmypid(), SIGKILL);
    $count = (int) file_get_contents($file);
    usleep(100);
    file_put_contents($file, (string) ($count + 1));
    $lock->unlock();
    $server->send($fd, "x\n");
});
run($server, function (Client $client) use ($file) {
    $client->send(str_repeat("count\n", 50) . "die\n" . str_repeat("count\n", 50));
    for ($i = 0; $i < 100; $i++) {
        $client->line();
    }
    echo file_get_contents($file), "\n";
}, ['worker died']);
?>
--EXPECT--
100

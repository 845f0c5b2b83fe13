--TEST--
A worker does not grow
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip pages are counted that others than PHP have");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->send($fd, strlen($data) > 100 ? $data : memory_get_usage() . "\n");
});
run($server, function (Client $client) {
    $long = str_repeat('x', 4096);
    $measure = function () use ($client, $long) {
        for ($sent = 0; $sent < 2000; $sent++) {
            $client->send($long)->read(strlen($long));
        }
        return (int) $client->ask('memory');
    };
    $measure();
    $before = $measure();
    echo $measure() - $before < 1024 ? "it does not\n" : "it does\n";
});
?>
--EXPECT--
it does not

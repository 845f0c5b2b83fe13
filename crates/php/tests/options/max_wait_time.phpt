--TEST--
max_wait_time: a worker that does not leave is killed after so many seconds, in both modes
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$parent = getmypid();
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $hangs = scratch_file();
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'max_wait_time' => 1]);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($hangs) {
        $data === "hang\n" ? file_put_contents($hangs, 'yes') : $server->send($fd, getmypid() . "\n");
        while ($data === "hang\n") {
            usleep(1000);
        }
    });
    run($server, function (Client $client) use ($parent, $hangs) {
        $worker = $client->ask('who');
        $client->send("hang\n");
        wait_until('the callback', fn () => clearstatcache() === null && filesize($hangs) > 0);
        $begun = microtime(true);
        kill($parent, SIGUSR1);
        wait_until('its end', fn () => !file_exists("/proc/$worker"));
        // By itself it would have had ten seconds.
        $waited = microtime(true) - $begun;
        echo $waited >= 1 && $waited < 8 ? 'in time' : "after $waited s", "\n";
    }, ['did not leave in time', 'finished']);
}
?>
--EXPECT--
in time
in time

--TEST--
Signals: handlers of pcntl run in a worker, its children have none blocked, and the master has its own back (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

pcntl_async_signals(true);
$GLOBALS['got'] = 0;
pcntl_signal(SIGALRM, function () {
    $GLOBALS['got']++;
});
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('workerStart', function ($server) {
    pcntl_signal(SIGUSR2, function () use ($server) {
        $server->last && $server->send($server->last, "got it\n");
    });
});
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $server->last = $fd;
    if ($data === "children\n") {
        $blocked = shell_exec('grep SigBlk /proc/self/status');
        return $server->send($fd, preg_replace('/\s+/', ' ', $blocked) . "\n");
    }
    $server->send($fd, getmypid() . "\n");
});
run($server, function (Client $client) {
    $worker = (int) $client->ask('pid');
    echo $client->ask('children'), "\n";
    // It sleeps in the engine's loop: pcntl calls handlers when code of PHP runs next.
    kill($worker, SIGUSR2);
    $lines = [$client->ask('next'), $client->line()];
    var_dump(in_array('got it', $lines), in_array((string) $worker, $lines));
});
kill(getmypid(), SIGALRM);
var_dump($GLOBALS['got'], pcntl_signal_get_handler(SIGTERM), pcntl_signal_get_handler(SIGUSR1));
?>
--EXPECT--
SigBlk: 0000000000000000 
bool(true)
bool(true)
int(1)
int(0)
int(0)

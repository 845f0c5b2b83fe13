--TEST--
Shutdown functions and destructors run in a worker that leaves (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

final class Watch
{
    public function __construct(public string $file, public int $owner) {}
    public function __destruct()
    {
        getmypid() !== $this->owner && file_put_contents($this->file, "destructor\n", FILE_APPEND);
    }
}
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$master = getmypid();
$server->set(['worker_num' => 1]);
$server->on('workerStart', function () use ($told, $master) {
    $GLOBALS['watch'] = new Watch($told, $master);
    register_shutdown_function(fn () => file_put_contents($told, "shutdown function\n", FILE_APPEND));
});
$server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
run($server, fn (Client $client) => print($client->ask('x') . "\n"));
readfile($told);
?>
--EXPECT--
x
shutdown function
destructor

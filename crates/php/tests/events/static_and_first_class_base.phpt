--TEST--
Static methods and first class callables are callbacks (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
final class Told
{
    public static function receive(Swoole\Server $server, int $fd, int $reactor, string $data): void
    {
        $server->send($fd, 'static ' . $data);
    }

    public function connect(Swoole\Server $server, int $fd): void
    {
        $server->send($fd, "connected\n");
    }
}
$server->on('receive', 'Told::receive');
$server->on('connect', (new Told())->connect(...));
run($server, function (Client $client) use ($server) {
    echo $client->line(), "\n", $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
connected
static x

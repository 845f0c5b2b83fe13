--TEST--
A private method may be given by its own class (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

final class Mine
{
    public function __construct(private Swoole\Server $server)
    {
        $server->set(['worker_num' => 1]);
        $server->on('receive', [$this, 'receive']);
    }

    private function receive(Swoole\Server $server, int $fd, int $reactor, string $data): void
    {
        $server->send($fd, "private $data");
    }
}
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
new Mine($server);
run($server, function (Client $client) {
    echo $client->ask('one'), "\n", $client->ask('two'), "\n";
});
?>
--EXPECT--
private one
private two

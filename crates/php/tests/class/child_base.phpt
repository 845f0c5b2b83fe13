--TEST--
A child of Server with a constructor of its own (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

class Mine extends Swoole\Server
{
    public array $seen = [];

    public function __construct()
    {
        parent::__construct('127.0.0.1', 0, SWOOLE_BASE);
        $this->set(['worker_num' => 1]);
        $this->on('receive', [$this, 'receive']);
    }

    public function receive(Swoole\Server $server, int $fd, int $reactor, string $data): void
    {
        $this->seen[] = trim($data);
        $this->send($fd, get_class($server) . ' ' . implode(',', $this->seen) . "\n");
    }
}
run(new Mine(), function (Client $client) {
    echo $client->ask('a'), "\n", $client->ask('b'), "\n";
});
?>
--EXPECT--
Mine a
Mine a,b

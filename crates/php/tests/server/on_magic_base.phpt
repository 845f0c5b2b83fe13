--TEST--
Methods that exist only by __call are called (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

final class Magic
{
    public function __call(string $name, array $arguments)
    {
        $arguments[0]->send($arguments[1], "$name: $arguments[3]");
    }

    public static function __callStatic(string $name, array $arguments)
    {
        $arguments[0]->send($arguments[1], "static $name\n");
    }
}
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
var_dump($server->on('receive', [new Magic(), 'anything']));
var_dump($server->on('connect', 'Magic::welcome'));
run($server, function (Client $client) {
    echo $client->line(), "\n", $client->ask('one'), "\n", $client->ask('two'), "\n";
});
?>
--EXPECT--
bool(true)
bool(true)
static welcome
anything: one
anything: two

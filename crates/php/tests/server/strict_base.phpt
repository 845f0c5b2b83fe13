--TEST--
strict_types counts for calls (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, $fd) {
    try {
        strict($server, $fd);
    } catch (TypeError $error) {
        $server->send($fd, $error->getMessage() . "\n");
    }
});

$strict = scratch_file();
file_put_contents($strict, '<?php declare(strict_types=1); function strict($server, $fd) { $server->send((string) $fd, "x"); }');
require $strict;
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
Ostler\Server::send(): Argument #1 ($fd) must be of type int, string given

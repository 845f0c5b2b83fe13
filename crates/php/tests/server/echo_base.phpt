--TEST--
A server echoes in BASE mode
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 2]);
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    $server->send($fd, $data);
});
run($server, function (Client $client) {
    echo $client->ask('hello'), "\n";
    $long = str_repeat("0123456789abcdef", 16384);
    var_dump($client->send($long)->read(strlen($long)) === $long);
    echo $client->ask("\0binary\xff") === "\0binary\xff" ? "binary\n" : "changed\n";
});
echo "done\n";
?>
--EXPECT--
hello
bool(true)
binary
done

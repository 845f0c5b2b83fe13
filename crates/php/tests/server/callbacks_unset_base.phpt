--TEST--
Callbacks that are replaced, unset or made nonsense by reflection while the server runs crash nothing (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
$property = new ReflectionProperty(Swoole\Server\Port::class, 'onReceive');
$property->setAccessible(true);
$answer = fn (string $how) => fn ($server, int $fd) => $server->send($fd, "$how\n");
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($property, $answer) {
    // The callback that runs now is freed with it.
    $property->setValue($server->ports[0], $answer('replaced'));
    gc_collect_cycles();
    $server->send($fd, "first\n");
});
$server->on('connect', function (Swoole\Server $server, int $fd) use ($property, $answer) {
    $fd === 2 && $property->setValue($server->ports[0], null);
    $fd === 3 && $property->setValue($server->ports[0], 'no function');
    $fd === 4 && $property->setValue($server->ports[0], new stdClass());
    $fd === 5 && $property->setValue($server->ports[0], $answer('again'));
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), ' ', $client->ask('x'), "\n";
    for ($fd = 2; $fd <= 4; $fd++) {
        // Nobody answers.
        (new Client(address_of($server->ports[0])))->send("x\n")->close();
    }
    echo (new Client(address_of($server->ports[0])))->ask('x'), "\n";
});
?>
--EXPECT--
first replaced
again

--TEST--
max_idle_time ends an idle session, but not one that is protected (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->set(['max_idle_time' => 0.2]);
$server->on('receive', function ($server, $fd, $reactor, $data) {
    $server->protect($fd, trim($data) === 'protect');
    $server->send($fd, $data);
});
run($server, function (Client $client) use ($server) {
    $other = new Client(address_of($server->ports[0]));
    $other->ask('protect');
    echo $client->ask('x'), "\n", $client->rest() === '' ? "closed\n" : '', $other->ask('protect'), "\n";
}, []);
?>
--EXPECT--
x
closed
protect

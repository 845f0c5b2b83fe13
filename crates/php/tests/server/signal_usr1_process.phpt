--TEST--
USR1 to the master reloads, as ever (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);
$server->on('receive', fn ($server, $fd) => $server->send($fd, getmypid() . ' ' . $server->master_pid . "\n"));
run($server, function (Client $client) use ($server) {
    [$before, $master] = explode(' ', $client->ask('x'));
    kill((int) $master, SIGUSR1);
    wait_until('another worker', fn () => explode(' ', (new Client(address_of($server->ports[0])))->ask('x'))[0] !== $before);
    echo "reloaded\n";
}, []);
?>
--EXPECT--
reloaded

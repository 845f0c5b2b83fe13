--TEST--
max_connection, max_conn: who is too much waits until a session has ended
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([[SWOOLE_PROCESS, 'max_connection'], [SWOOLE_PROCESS, 'max_conn'], [SWOOLE_BASE, 'max_connection'], [SWOOLE_BASE, 'max_conn']] as [$mode, $name]) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, $name => 2]);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data));
    run($server, function (Client $first) use ($server, $name) {
        $second = new Client(address_of($server->ports[0]));
        echo $first->ask('first'), ' ', $second->ask('second'), ' ';
        $third = new Client(address_of($server->ports[0]));
        $third->send("third\n");
        wait_until('the log', fn () => str_contains(log_of($server), 'all places are taken'));
        echo $first->ask('still'), ' ';
        $second->close();
        echo $third->line(), ", $name {$server->setting[$name]}\n";
    }, ['all places are taken']);
}
?>
--EXPECT--
first second still third, max_connection 2
first second still third, max_conn 2
first second still third, max_connection 2
first second still third, max_conn 2

--TEST--
What cannot be done any more when the server runs (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump(@$server->set([]), @$server->on('receive', 'strlen'), @$server->listen('127.0.0.1', 0, 1), @$server->start());
    $port = $server->ports[0];
    $before = $port->setting;
    @$port->set(['backlog' => 5]);
    var_dump(@$port->on('receive', 'strlen'), $port->setting === $before);

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
bool(false) bool(false) bool(false) bool(false) bool(false) bool(true)

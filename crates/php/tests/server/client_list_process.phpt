--TEST--
getClientList() and $server->connections list the sessions (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump($server->getClientList(), $server->getClientList($fd), $server->getClientList(999), @$server->getClientList(0, 101));
    var_dump(count($server->connections), isset($server->connections[$fd]), isset($server->connections[999]));
    foreach ($server->connections as $key => $session) {
        echo "$key=>$session ";
    }
    echo $server->connections[$fd]['remote_ip'], ' ', count($server->ports[0]->connections);

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo preg_replace('/ +/', ' ', $client->ask('x')), "\n";
});
?>
--EXPECT--
array(1) { [0]=> int(1) } array(0) { } bool(false) bool(false) int(1) bool(true) bool(false) 1=>1 127.0.0.1 1

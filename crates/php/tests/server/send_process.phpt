--TEST--
send() takes what PHP takes for its types (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1]);

$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    ob_start();

    var_dump($server->send((string) $fd, "text "), $server->send($fd, 12), $server->send($fd, 1.5));
    var_dump(@$server->send(0, 'x'), $server->getLastError(), @$server->send($fd, ''), $server->getLastError());
    var_dump(@$server->send(999999, 'x'), $server->getLastError());
    try {
        $server->send($fd, []);
    } catch (TypeError $error) {
        echo $error->getMessage();
    }

    $server->send($fd, rtrim(str_replace("\n", ' ', ob_get_clean())) . "\n");
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
});
?>
--EXPECT--
text 121.5bool(true) bool(true) bool(true) bool(false) int(1006) bool(false) int(550) bool(false) int(1005) Ostler\Server::send(): Argument #2 ($send_data) must be of type string, array given

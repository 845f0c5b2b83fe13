--TEST--
package_length_func that throws ends the worker, and its session (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'open_length_check' => true, 'package_length_func' => fn (string $data) => $data === 'x' ? throw new LogicException('no') : strlen($data)]);
$server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, $data));
ini_set('display_errors', '0');
run($server, function (Client $client) use ($server) {
    echo $client->send('a')->read(1), "\n";
    echo json_encode($client->send('x')->rest()), "\n";
    echo (new Client(address_of($server->ports[0])))->send('b')->read(1), "\n";
}, ['worker died', 'died with']);
?>
--EXPECT--
a
""
b

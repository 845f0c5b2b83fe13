--TEST--
package_length_func cuts packages, waits for the rest, and closes on what is none (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'open_length_check' => true, 'package_length_func' => function (string $data): int {
    $colon = strpos($data, ':');
    if ($colon === false) {
        return strlen($data) > 8 ? -1 : 0;
    }
    return $colon + 1 + (int) substr($data, 0, $colon);
}]);
$server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, "<$data>"));
run($server, function (Client $client) use ($server) {
    echo $client->send('5:hello3:a')->read(9), "\n";
    echo $client->send('bc')->read(7), "\n";
    $long = str_repeat('x', 100_000);
    var_dump($client->send("100000:$long")->read(100_009) === "<100000:$long>");
    echo json_encode($client->send('no package')->rest()), "\n";
    $other = new Client(address_of($server->ports[0]));
    echo json_encode($other->send('3000000:')->rest()), "\n";
}, ['length function']);
?>
--EXPECT--
<5:hello>
<3:abc>
bool(true)
""
""

--TEST--
dispatch_func chooses the worker of each session
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 3, 'dispatch_func' => function ($server, int $fd, int $type, string $data = '?') {
    return $fd % 2 === 0 ? 2 : 1;
}]);
$server->on('receive', fn ($server, int $fd) => $server->send($fd, "$fd at $server->worker_id\n"));
run($server, function (Client $client) use ($server) {
    $clients = [$client];
    for ($i = 0; $i < 9; $i++) {
        $clients[] = new Client(address_of($server->ports[0]));
    }
    $answers = [];
    foreach ([1, 2] as $round) {
        foreach ($clients as $client) {
            [$fd, , $worker] = explode(' ', $client->ask('x'));
            $answers[(int) $worker - ($fd % 2 === 0 ? 2 : 1)][] = $fd;
        }
    }
    echo json_encode(array_map('count', $answers)), "\n";
});
?>
--EXPECT--
[20]

--TEST--
getClientList() and connection_list() in pages, $server->connections by hand, and of each port (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
    $pages = [];
    for ($start = 0; ($page = $server->connection_list($start, 5)) && $page === $server->getClientList($start, 5); $start = end($page)) {
        $pages[] = count($page);
    }
    $all = $server->getClientList(0, 100);
    $sorted = $all;
    sort($sorted);
    $own = $server->connections;
    for ($own->rewind(), $walked = []; $own->valid(); $own->next()) {
        $walked[$own->key()] = $own->current();
    }
    $info = $server->connection_info($fd);
    $found = [$pages, $page, $all === $sorted && $all === array_values($walked), array_keys($walked) === range(1, count($all)), $own->current(),
        count($server->connections), array_map(fn ($port) => count($port->connections), $server->ports), $own->offsetExists($fd), $own->offsetExists(77),
        $own->offsetGet($fd)['remote_port'] === $info['remote_port'], $own->offsetGet(77), isset($server->ports[1]->connections[$fd]), count($server->getClientList())];
    $server->send($fd, json_encode($found) . "\n");
});
run($server, function (Client $first, Client $second) use ($server) {
    $clients = [];
    for ($i = 0; $i < 10; $i++) {
        $clients[] = (new Client(address_of($server->ports[0])))->send("x\n");
        end($clients)->line();
    }
    $second->send("x\n")->line();
    echo $first->ask('x'), "\n";
});
?>
--EXPECT--
[[5,5,2],[],true,true,false,12,[11,1],true,false,true,false,false,10]

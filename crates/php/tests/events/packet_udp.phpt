--TEST--
Datagrams come with their sender, and sendto answers (UDP)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode, SWOOLE_SOCK_UDP);
    $server->set(['worker_num' => 1]);
    $server->on('packet', function (Swoole\Server $server, string $data, array $from) {
        $keys = implode(',', array_keys($from));
        $text = "$data|$keys|{$from['address']}|" . var_export($from['server_port'] === $server->port, true);
        $server->sendto($from['address'], $from['port'], $text) || print("refused\n");
    });
    run($server, fn (Client $client) => print($client->send('hello')->datagram() . "\n"));
    unset($server);
}
?>
--EXPECT--
hello|server_socket,server_port,dispatch_time,address,port|127.0.0.1|true
hello|server_socket,server_port,dispatch_time,address,port|127.0.0.1|true

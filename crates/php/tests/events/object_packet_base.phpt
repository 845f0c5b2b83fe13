--TEST--
event_object: onPacket and onWorkerError get objects (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE, SWOOLE_SOCK_UDP);
$server->set(['worker_num' => 1, 'event_object' => true]);
$told = scratch_file();
$server->on('packet', function (Swoole\Server $server, Swoole\Server\Packet $packet) {
    $packet->data === 'die' && exit(4);
    $server->sendto($packet->address, $packet->port, json_encode([$packet->server_socket, $packet->server_port === $server->port, $packet->address, $packet->data, $packet->dispatch_time > 1e9]));
});
$server->on('workerError', fn (Swoole\Server $server, Swoole\Server\StatusInfo $info) => file_put_contents($told,
    json_encode([$info->worker_id, $info->worker_pid > 1, $info->status, $info->exit_code, $info->signal])));
run($server, function (Client $client) use ($told) {
    echo $client->send('hello')->datagram(), "\n";
    $client->send('die');
    wait_until('the report', fn () => file_get_contents($told) !== '');
    readfile($told);
}, ['worker died', 'datagram']);
?>
--EXPECT--
[0,true,"127.0.0.1","hello",true]
[0,true,1024,4,0]

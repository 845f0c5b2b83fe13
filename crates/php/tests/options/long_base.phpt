--TEST--
output_buffer_size, package_max_length: large ones fit into each of many workers of BASE mode
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([['output_buffer_size' => '32M'], ['package_max_length' => '32M'], []] as $settings) {
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
    $server->set(['worker_num' => 6] + $settings);
    $server->on('receive', fn ($server, int $fd) => $server->send($fd, json_encode($server->setting['worker_num']) . "\n"));
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
}
?>
--EXPECT--
6
6
6

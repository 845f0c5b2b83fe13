--TEST--
output_buffer_size, buffer_output_size: a send that is longer is refused whole
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    foreach (['output_buffer_size', 'buffer_output_size'] as $name) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set(['worker_num' => 1, $name => '4K']);
        $server->on('receive', function ($server, $fd) {
            $server->send($fd, var_export(@$server->send($fd, str_repeat('x', 5000)), true) . ' ' . $server->getLastError() . "\n");
        });
        run($server, fn (Client $client) => print($client->ask('a') . "\n"));
    }
}
?>
--EXPECT--
false 1203
false 1203
false 1203
false 1203

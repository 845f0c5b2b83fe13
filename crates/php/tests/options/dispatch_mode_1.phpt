--TEST--
dispatch_mode 1 reaches workers
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 3, 'dispatch_mode' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
$server->on('receive', fn ($server, $fd) => $server->send($fd, $server->getWorkerId() . "\n"));
run($server, function (Client $client) use ($server) {
    $ids = [];
    $ask = function () use ($client, &$ids) {
        $ids[$client->ask('who')] = true;
        return count($ids);
    };
    wait_until('all workers', fn () => $ask() === 3);
    echo count($ids) <= 3 ? "as it should\n" : implode(',', array_keys($ids));
});
?>
--EXPECT--
as it should

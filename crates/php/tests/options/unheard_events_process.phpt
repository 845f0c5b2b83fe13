--TEST--
dispatch_mode without a fixed worker: that onConnect and onClose are never called is told at the start
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([
    [['dispatch_mode' => 3], ['connect', 'close']],
    [['dispatch_mode' => 1], ['close']],
    [['dispatch_mode' => 3], []],
    [['dispatch_mode' => 3, 'enable_unsafe_event' => true], ['connect', 'close']],
    [['dispatch_mode' => 2], ['connect', 'close']],
] as [$settings, $events]) {
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
    $server->set($settings + ['worker_num' => 1]);
    foreach ($events as $event) {
        $server->on($event, fn () => null);
    }
    $server->on('receive', fn (Swoole\Server $server, int $fd, int $reactor, string $data) => $server->send($fd, $data));
    run($server, fn (Client $client) => print($client->ask(json_encode($settings)) . "\n"));
}
?>
--EXPECTF--

Warning: Ostler\Server::start(): onConnect and onClose cannot be called with dispatch_mode 3: set enable_unsafe_event in %s on line %d
{"dispatch_mode":3}

Warning: Ostler\Server::start(): onClose cannot be called with dispatch_mode 1: set enable_unsafe_event in %s on line %d
{"dispatch_mode":1}
{"dispatch_mode":3}
{"dispatch_mode":3,"enable_unsafe_event":true}
{"dispatch_mode":2}

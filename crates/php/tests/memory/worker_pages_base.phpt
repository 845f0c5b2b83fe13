--TEST--
A worker of the BASE mode grows by no page over many packages
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip pages are counted that others than PHP have");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/pages.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'harden' => 'off', 'open_eof_split' => true, 'package_eof' => "\n"]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $data === "who\n" ? $server->send($fd, getmypid() . "\n") : $server->send($fd, $data);
});
run($server, function (Client $client) {
    $worker = (int) $client->ask('who');
    $line = str_repeat('x', 63) . "\n";
    $batch = str_repeat($line, 500);
    $serve = function (int $packages) use ($client, $batch) {
        for (; $packages > 0; $packages -= 500) {
            $client->send($batch)->read(strlen($batch));
        }
    };
    $packages = amount('OSTLER_PACKAGES', 100_000);
    $serve(max(20_000, intdiv($packages, 10)));
    $before = own_pages($worker);
    $serve($packages);
    $grown = own_pages($worker) - $before;
    figure("worker, base: $packages packages, $grown pages");
    echo $grown <= 0 ? "it does not\n" : "by $grown pages in $packages packages\n";
});
?>
--EXPECT--
it does not

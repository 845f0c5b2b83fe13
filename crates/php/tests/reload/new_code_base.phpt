--TEST--
A reload runs new code (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$code = scratch_file();
$log = scratch_file();
file_put_contents($code, '<?php return "old";');
$server->set(['worker_num' => 2]);
$server->on('workerStart', function () use ($code) {
    $GLOBALS['version'] = require $code;
});
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    trim($data) === 'reload' && $server->reload();
    $server->send($fd, $GLOBALS['version'] . "\n");
});
run($server, function (Client $client) use ($code, $server) {
    // Connections end with their workers.
    $ask = fn () => (new Client(address_of($server->ports[0])))->ask('version');
    echo $ask(), "\n";
    file_put_contents($code, '<?php return "new";');
    touch($code, time() + 5);
    $client->ask('reload');
    // One of the two workers may be the old one for a while.
    wait_until('the new code', fn () => [$ask(), $ask(), $ask(), $ask()] === ['new', 'new', 'new', 'new']);
    echo "new\n";
});
?>
--EXPECT--
old
new

--TEST--
A reload runs new code
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
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
run($server, function (Client $client) use ($code) {
    echo $client->ask('version'), "\n";
    file_put_contents($code, '<?php return "new";');
    touch($code, time() + 5);
    $client->ask('reload');
    wait_until('the new code', fn () => $client->ask('version') === 'new');
    echo $client->ask('version'), "\n";
});
?>
--EXPECT--
old
new

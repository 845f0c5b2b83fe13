--TEST--
New code that cannot be parsed aborts the reload, and the old workers serve on (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$code = scratch_file();
file_put_contents($code, '<?php return "old";');
$told = scratch_file();
$server->set(['worker_num' => 2]);
$server->on('workerStart', function () use ($code) {
    ini_set('display_errors', '0');
    $GLOBALS['version'] = require $code;
});
$server->on('afterReload', fn () => file_put_contents($told, 'over'));
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    trim($data) === 'reload' && $server->reload();
    $server->send($fd, $GLOBALS['version'] . "\n");
});
run($server, function (Client $client) use ($code, $told, $server) {
    $client->ask('version');
    file_put_contents($code, "<?php\nreturn new;");
    $client->ask('reload');
    wait_until('the end of the reload', fn () => filesize($told) > 0 || clearstatcache());
    echo $client->ask('version'), "\n";
    $lines = preg_grep('/ParseError/', file($server->setting['log_file']));
    echo preg_match('/ParseError: syntax error.* in \S+:2/', implode($lines)) ? "file and line are told\n" : implode($lines);
}, ['ParseError', 'reload', 'died']);
?>
--EXPECT--
old
file and line are told

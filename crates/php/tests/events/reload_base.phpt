--TEST--
A reload is told before and after, and new workers serve (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);

$told = scratch_file();
foreach (['beforeReload', 'afterReload'] as $event) {
    $server->on($event, fn () => file_put_contents($told, "$event\n", FILE_APPEND));
}
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    $answer = $data === "reload\n" ? var_export($server->reload(), true) : getmypid();
    $server->send($fd, "$answer\n");
});
run($server, function (Client $client) use ($server, $told) {
    $before = $client->ask('who');
    echo $client->ask('reload'), "\n";
    wait_until('the reload', fn () => str_contains(file_get_contents($told), 'after'));
    $after = (new Client(address_of($server->ports[0])))->ask('who');
    var_dump($before !== $after);
    readfile($told);
});
?>
--EXPECT--
true
bool(true)
beforeReload
afterReload

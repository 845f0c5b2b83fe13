--TEST--
pause() keeps what a client sends away from the worker, resume() brings it, and answers go out meanwhile (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$got = '';
$server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use (&$got) {
    [$what, $other] = explode(' ', trim($data)) + [1 => ''];
    match ($what) {
        'pause' => $server->pause($fd) && $server->send($fd, "$fd\n"),
        'got' => $server->send($fd, "'$got'\n"),
        'greet' => $server->send((int) $other, "hello\n") && $server->send($fd, "greeted\n"),
        'resume' => $server->send($fd, var_export($server->resume((int) $other), true) . "\n"),
        default => ($got = $what) && $server->send($fd, "at last\n"),
    };
});
run($server, function (Client $client) use ($server) {
    $other = new Client(address_of($server->ports[0]));
    $fd = $client->ask('pause');
    $client->send("late\n");
    // What one reads the other one's would have been read before.
    for ($i = 0; $i < 20; $i++) {
        $seen = $other->ask('got');
    }
    echo $seen, ' ', $other->ask("greet $fd"), ' ', $client->line(), ' ', $other->ask("resume $fd"), "\n";
    echo $client->line(), ' ', $other->ask('got'), "\n";
});
?>
--EXPECT--
'' greeted hello true
at last 'late'

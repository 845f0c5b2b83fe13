--TEST--
crash_policy = drop: a package whose worker died is forgotten, and its client stays
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'crash_policy' => 'drop', 'open_eof_split' => true, 'package_eof' => "\n"]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $data === "exit\n" ? exit(3) : $server->send($fd, $data));
run($server, function (Client $client) {
    echo $client->send("exit\nafter\n")->line(), "\n";
}, ['worker died']);
?>
--EXPECT--
after

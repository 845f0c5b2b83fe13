--TEST--
A port without settings of its own shows those of the server from the start on, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'open_eof_split' => true]);
    $inherits = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $own = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $own->set(['open_length_check' => true]);
    $none = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
    $none->set([]);
    $server->set(['package_eof' => "\n"]);
    echo json_encode([$inherits->setting, $own->setting, $none->setting]), "\n";
    $server->on('receive', function (Swoole\Server $server, int $fd) use ($inherits) {
        $names = array_flip(['worker_num', 'task_worker_num', 'open_eof_split', 'package_eof', 'open_length_check', 'max_connection']);
        $shown = array_map(fn ($port) => array_intersect_key($port->setting, $names), $server->ports);
        $is_same = $inherits->setting === $server->setting && $inherits === $server->ports[1];
        $server->send($fd, json_encode($shown) . ' ' . json_encode($is_same) . "\n");
    });
    run($server, fn (Client $first, Client $second, Client ...$others) => print($second->ask('what is set?') . "\n"));
}
// A server of which nothing was set.
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
// Its log goes to standard error.
fclose(STDERR);
$port = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$server->on('receive', fn () => null);
$server->on('workerStart', function (Swoole\Server $server) use ($port) {
    fwrite(STDOUT, json_encode([$server->ports[0]->setting === $server->setting, $port->setting === $server->setting, $port->setting['worker_num']]) . "\n");
    $server->shutdown();
});
$server->start();
?>
--EXPECT--
[[],{"open_length_check":true},[]]
[{"worker_num":1,"open_eof_split":true,"package_eof":"\n"},{"worker_num":1,"open_eof_split":true,"package_eof":"\n","task_worker_num":0,"max_connection":16384},{"open_length_check":true},[]] true
[[],{"open_length_check":true},[]]
[{"worker_num":1,"open_eof_split":true,"package_eof":"\n"},{"worker_num":1,"open_eof_split":true,"package_eof":"\n","task_worker_num":0,"max_connection":16384},{"open_length_check":true},[]] true
[true,true,1]

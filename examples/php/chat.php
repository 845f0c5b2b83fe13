<?php
/**
 * A chat by lines: whatever somebody says goes to everybody else. `/name NAME` gives a name.
 *
 *     php -d extension=target/php/ostler.so examples/php/chat.php [--listen=HOST:PORT]
 *
 * Clients stay connected when a worker is reloaded (`kill -USR1`) or dies: the master has their sockets.
 */

declare(strict_types=1);

use Swoole\Server;

['listen' => $listen] = getopt('', ['listen:']) + ['listen' => '127.0.0.1:9501'];
['host' => $host, 'port' => $port] = parse_url("tcp://$listen");

$server = new Server($host, $port, SWOOLE_PROCESS);
$server->set([
    'worker_num' => 2,
    // Each line is one package, whichever way the network cuts them.
    'open_eof_split' => true,
    'package_eof' => "\n",
    'package_max_length' => 64 * 1024,
    // Who is silent for ten minutes is gone.
    'heartbeat_idle_time' => 600,
]);

/** To everybody but one. */
function tell(Server $server, int $but, string $text): void
{
    foreach ($server->connections as $fd) {
        if ($fd !== $but) {
            $server->send($fd, $text);
        }
    }
}

/** Names are known to this worker only, whose clients are always the same as long as it lives. */
$names = [];

$server->on('start', fn (Server $server) => print("listening on $server->host:$server->port\n"));
$server->on('connect', function (Server $server, int $fd) {
    $server->send($fd, "welcome, you are number $fd\n");
    tell($server, $fd, "$fd has come\n");
});
$server->on('receive', function (Server $server, int $fd, int $reactor, string $line) use (&$names) {
    $line = trim($line);
    if (str_starts_with($line, '/name ')) {
        $names[$fd] = substr($line, 6);
        $server->send($fd, "you are {$names[$fd]}\n");
        return;
    }
    tell($server, $fd, ($names[$fd] ?? $fd) . ": $line\n");
});
$server->on('close', function (Server $server, int $fd) use (&$names) {
    tell($server, $fd, ($names[$fd] ?? $fd) . " has left\n");
    unset($names[$fd]);
});
$server->start();

<?php
/**
 * Counts what programs report by datagrams, `NAME` or `NAME:NUMBER`, and answers over TCP what was counted.
 *
 *     php -d extension=target/php/ostler.so examples/php/collector.php [--listen=HOST:PORT]
 *
 * The numbers are shared by all workers and survive each of them.
 */

declare(strict_types=1);

use Swoole\Atomic\Long;
use Swoole\Server;

['listen' => $listen] = getopt('', ['listen:']) + ['listen' => '127.0.0.1:9501'];
['host' => $host, 'port' => $port] = parse_url("tcp://$listen");

/** Everything that is counted is named here, because shared numbers are made before the start. */
$counts = ['visits' => new Long(), 'errors' => new Long(), 'bytes' => new Long()];
$unknown = new Long();

$server = new Server($host, $port, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'open_eof_split' => true, 'package_eof' => "\n"]);
$reports = $server->listen($host, 0, SWOOLE_SOCK_UDP);

$server->on('start', function (Server $server) use ($reports) {
    echo "listening on $server->host:$server->port\n", "reports to $reports->host:$reports->port\n";
});
$reports->on('packet', function (Server $server, string $report) use ($counts, $unknown) {
    [$name, $number] = explode(':', trim($report), 2) + [1 => '1'];
    ($counts[$name] ?? $unknown)->add((int) $number);
});
$server->on('receive', function (Server $server, int $fd) use ($counts, $unknown) {
    $lines = '';
    foreach ($counts + ['unknown' => $unknown] as $name => $count) {
        $lines .= "$name {$count->get()}\n";
    }
    $server->send($fd, "$lines.\n");
});
$server->start();

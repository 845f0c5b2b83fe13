<?php
/**
 * Echo: sends back what it receives. Also the instrument with which the extension is measured.
 *
 *     php -d extension=target/php/ostler.so examples/php/echo.php \
 *         [--listen=HOST:PORT] [--workers=N] [--reactors=N] [--mode=process|base] [--tasks=N] [--set=NAME=VALUE]...
 *
 * With `--tasks` each message goes through one of so many task workers, and comes back from there.
 * Prints `listening on ADDRESS` when it serves.
 */

declare(strict_types=1);

use Swoole\Server;

$given = getopt('', ['listen:', 'workers:', 'reactors:', 'mode:', 'tasks:', 'set:']);
['host' => $host, 'port' => $port] = parse_url('tcp://' . ($given['listen'] ?? '127.0.0.1:9501'));
$mode = ($given['mode'] ?? 'process') === 'base' ? SWOOLE_BASE : SWOOLE_PROCESS;

$server = new Server(trim($host, '[]'), $port, $mode, str_contains($host, ':') ? SWOOLE_SOCK_TCP6 : SWOOLE_SOCK_TCP);
$options = ['worker_num' => (int) ($given['workers'] ?? 0), 'reactor_num' => (int) ($given['reactors'] ?? 0)];
foreach ((array) ($given['set'] ?? []) as $pair) {
    [$name, $value] = explode('=', $pair, 2);
    $options[$name] = $value;
}
$tasks = (int) ($given['tasks'] ?? 0);
$server->set($options + ($tasks > 0 ? ['task_worker_num' => $tasks] : []));

$server->on('start', function (Server $server) {
    echo 'listening on ', str_contains($server->host, ':') ? "[{$server->host}]" : $server->host, ":{$server->port}\n";
});
$echo = function (Server $server, int $session, int $reactor, string $data) {
    $server->send($session, $data);
};
$through_task = function (Server $server, int $session, int $reactor, string $data) {
    $server->task($data, -1, fn (Server $server, int $task, string $result) => $server->send($session, $result));
};
$server->on('task', fn (Server $server, int $task, int $worker, string $data) => $data);
$server->on('receive', $tasks > 0 ? $through_task : $echo);
$server->start();

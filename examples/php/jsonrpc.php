<?php
/**
 * JSON-RPC 2.0 over TCP, each message behind its length in four bytes.
 *
 *     php -d extension=target/php/ostler.so examples/php/jsonrpc.php [--listen=HOST:PORT]
 *
 * A request that kills its worker is given to another one, twice at most (`crash_policy`, an option of the engine):
 * whoever calls learns nothing of it. What takes long is a task: a worker serves others meanwhile, and the answer follows.
 */

declare(strict_types=1);

use Swoole\Server;

['listen' => $listen] = getopt('', ['listen:']) + ['listen' => '127.0.0.1:9501'];
['host' => $host, 'port' => $port] = parse_url("tcp://$listen");

$methods = [
    'add' => fn (int|float ...$numbers): int|float => array_sum($numbers),
    'reverse' => fn (string $text): string => strrev($text),
    'worker' => fn (): int => getmypid(),
];

/** What task workers do. */
$slow_methods = [
    'factors' => function (int $number): array {
        for ($factors = [], $by = 2; $number > 1; $by = $by * $by > $number ? $number : $by + 1) {
            for (; $number % $by === 0; $number = intdiv($number, $by)) {
                $factors[] = $by;
            }
        }
        return $factors;
    },
];

/** The answer to one request; none to a notification. */
function answer(array $methods, mixed $request): ?array
{
    $id = $request['id'] ?? null;
    $fail = fn (int $code, string $text) => ['jsonrpc' => '2.0', 'id' => $id, 'error' => ['code' => $code, 'message' => $text]];
    if (!is_array($request) || !is_string($request['method'] ?? null)) {
        return $fail(-32600, 'Invalid Request');
    }
    $method = $methods[$request['method']] ?? null;
    if ($method === null) {
        return $fail(-32601, 'Method not found');
    }
    try {
        $result = $method(...array_values($request['params'] ?? []));
    } catch (TypeError $error) {
        return $fail(-32602, $error->getMessage());
    }
    return $id === null ? null : ['jsonrpc' => '2.0', 'id' => $id, 'result' => $result];
}

$server = new Server($host, $port, SWOOLE_PROCESS);
$server->set([
    'worker_num' => 2,
    'task_worker_num' => 2,
    'open_length_check' => true,
    'package_length_type' => 'N',
    'package_length_offset' => 0,
    'package_body_offset' => 4,
    'package_max_length' => 1 << 20,
    'crash_policy' => 'redeliver:2',
]);
$server->on('start', fn (Server $server) => print("listening on $server->host:$server->port\n"));
$server->on('task', fn (Server $server, int $task, int $worker, array $request) => answer($slow_methods, $request) ?? false);
$server->on('receive', function (Server $server, int $fd, int $reactor, string $package) use ($methods, $slow_methods) {
    $send = function (?array $answer) use ($server, $fd) {
        $json = json_encode($answer, JSON_THROW_ON_ERROR);
        $answer === null || $server->send($fd, pack('N', strlen($json)) . $json);
    };
    $request = json_decode(substr($package, 4), true);
    if (is_array($request) && is_string($request['method'] ?? null) && isset($slow_methods[$request['method']])) {
        $server->task($request, -1, fn (Server $server, int $task, array|false $answer) => $send($answer ?: null));
    } else {
        $send(answer($methods, $request));
    }
});
$server->start();

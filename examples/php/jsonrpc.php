<?php
/**
 * JSON-RPC 2.0 over TCP, each message behind its length in four bytes.
 *
 *     php -d extension=target/php/ostler.so examples/php/jsonrpc.php [--listen=HOST:PORT]
 *
 * A request that kills its worker is given to another one, twice at most (`crash_policy`, an option of the engine):
 * whoever calls learns nothing of it.
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

/** The answer to one request; none to a notification. */
function answer(array $methods, string $message): ?array
{
    $request = json_decode($message, true);
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
    'open_length_check' => true,
    'package_length_type' => 'N',
    'package_length_offset' => 0,
    'package_body_offset' => 4,
    'package_max_length' => 1 << 20,
    'crash_policy' => 'redeliver:2',
]);
$server->on('start', fn (Server $server) => print("listening on $server->host:$server->port\n"));
$server->on('receive', function (Server $server, int $fd, int $reactor, string $package) use ($methods) {
    $answer = answer($methods, substr($package, 4));
    if ($answer !== null) {
        $json = json_encode($answer, JSON_THROW_ON_ERROR);
        $server->send($fd, pack('N', strlen($json)) . $json);
    }
});
$server->start();

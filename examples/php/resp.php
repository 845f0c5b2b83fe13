<?php
/**
 * A store of texts that speaks RESP, the protocol of Redis, so that `redis-cli -p PORT` can talk to it.
 *
 *     php -d extension=target/php/ostler.so examples/php/resp.php [--listen=HOST:PORT]
 *
 * The server cuts commands itself (`open_redis_protocol`). The texts lie in a table that all workers share.
 */

declare(strict_types=1);

use Swoole\{Server, Table};

['listen' => $listen] = getopt('', ['listen:']) + ['listen' => '127.0.0.1:6379'];
['host' => $host, 'port' => $port] = parse_url("tcp://$listen");

$store = new Table(10_000);
$store->column('value', Table::TYPE_STRING, 1024);
$store->create();

/** The words of a command: `*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`, or a line as people type it. */
function words(string $command): array
{
    if ($command[0] !== '*') {
        return preg_split('/\s+/', trim($command), -1, PREG_SPLIT_NO_EMPTY);
    }
    $words = [];
    $end = strpos($command, "\r\n");
    for ($left = (int) substr($command, 1, $end - 1), $at = $end + 2; $left > 0; $left--) {
        $end = strpos($command, "\r\n", $at);
        $length = (int) substr($command, $at + 1, $end - $at - 1);
        $words[] = substr($command, $end + 2, $length);
        $at = $end + 2 + $length + 2;
    }
    return $words;
}

/** A value as RESP has it. */
function reply(null|int|string|array $value): string
{
    return match (true) {
        $value === null => "\$-1\r\n",
        is_int($value) => ":$value\r\n",
        is_array($value) => '*' . count($value) . "\r\n" . implode('', array_map('reply', $value)),
        default => '$' . strlen($value) . "\r\n$value\r\n",
    };
}

/** What each command answers. A `match` that finds nothing, and too few words, are told to the client. */
function answer(Table $store, array $words): string
{
    $name = strtoupper(array_shift($words) ?? '');
    $value = fn (string $key) => $store->get($key, 'value');
    try {
        return match ($name) {
            'PING' => $words === [] ? "+PONG\r\n" : reply($words[0]),
            'ECHO' => reply($words[0]),
            'SET' => strlen($words[1]) <= 1024 && $store->set($words[0], ['value' => $words[1]]) ? "+OK\r\n" : "-ERR too long\r\n",
            'GET' => reply($value($words[0]) === false ? null : $value($words[0])),
            'DEL' => reply(count(array_filter($words, fn (string $key) => $store->del($key)))),
            'EXISTS' => reply(count(array_filter($words, fn (string $key) => $store->exists($key)))),
            'STRLEN' => reply(strlen((string) $value($words[0]))),
            'DBSIZE' => reply(count($store)),
            'KEYS' => reply(array_keys(iterator_to_array($store))),
            default => "-ERR unknown command '$name'\r\n",
        };
    } catch (TypeError | ErrorException) {
        return "-ERR wrong number of arguments for '$name'\r\n";
    }
}

set_error_handler(fn (int $level, string $text) => throw new ErrorException($text));
$server = new Server($host, $port, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'open_redis_protocol' => true]);
$server->on('start', fn (Server $server) => print("listening on $server->host:$server->port\n"));
$server->on('receive', function (Server $server, int $fd, int $reactor, string $command) use ($store) {
    $words = words($command);
    if (strtoupper($words[0] ?? '') === 'QUIT') {
        return $server->send($fd, "+OK\r\n") && $server->close($fd);
    }
    $words === [] || $server->send($fd, answer($store, $words));
});
$server->start();

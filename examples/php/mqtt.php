<?php
/**
 * A small MQTT 3.1.1 broker: every client gets what is published to the topics that it has subscribed to.
 *
 *     php -d extension=target/php/ostler.so examples/php/mqtt.php [--listen=HOST:PORT]
 *     mosquitto_sub -p PORT -t 'home/#' &   mosquitto_pub -p PORT -t home/door -m open
 *
 * The server cuts packets itself (`open_mqtt_protocol`) and ends clients that are silent for too long (`heartbeat_idle_time`); a
 * timer ends those that never say who they are, another one publishes how many there are. Who has subscribed to what lies in a
 * table: clients stay connected, and subscribed, when a worker dies or is reloaded.
 */

declare(strict_types=1);

use Swoole\{Server, Table, Timer};

['listen' => $listen] = getopt('', ['listen:']) + ['listen' => '127.0.0.1:1883'];
['host' => $host, 'port' => $port] = parse_url("tcp://$listen");

/** Each client that has introduced itself, and what it listens to: filters between line ends. */
$clients = new Table(10_000);
$clients->column('filters', Table::TYPE_STRING, 1024);
$clients->create();

/** `+` is one level of a topic, `#` all that are left; topics with a dollar are not for those that begin with either. */
function matches(string $filter, string $topic): bool
{
    $regex = str_replace(['\+', '/\#', '\#'], ['[^/]+', '(/.*)?', '.*'], preg_quote($filter, '~'));
    return preg_match("~^$regex\$~", $topic) === 1 && ($topic[0] !== '$' || $filter[0] === '$');
}

/** A text behind its length in two bytes, as MQTT has them; what is behind it becomes `$rest`. */
function text(string $bytes, ?string &$rest = null): string
{
    $length = unpack('n', $bytes)[1];
    $rest = substr($bytes, 2 + $length);
    return substr($bytes, 2, $length);
}

function packet(int $first, string $body): string
{
    for ($length = '', $left = strlen($body); $left > 127; $left >>= 7) {
        $length .= chr($left & 127 | 128);
    }
    return chr($first) . $length . chr($left) . $body;
}

function publish(Server $server, Table $clients, string $topic, string $message): void
{
    $packet = packet(0x30, pack('n', strlen($topic)) . $topic . $message);
    foreach ($clients as $fd => ['filters' => $filters]) {
        $wanted = array_filter(explode("\n", $filters), fn (string $filter) => $filter !== '' && matches($filter, $topic));
        $wanted === [] || $server->send((int) $fd, $packet);
    }
}

$server = new Server($host, $port, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'open_mqtt_protocol' => true, 'package_max_length' => 1 << 20, 'heartbeat_idle_time' => 90]);
$server->on('start', fn (Server $server) => print("listening on $server->host:$server->port\n"));
$server->on('workerStart', function (Server $server, int $worker) use ($clients) {
    $worker === 0 && Timer::tick(1000, fn () => publish($server, $clients, '$SYS/clients', (string) count($clients)));
});
$server->on('connect', function (Server $server, int $fd) use ($clients) {
    Timer::after(5000, fn () => $clients->exists("$fd") || $server->close($fd));
});
$server->on('receive', function (Server $server, int $fd, int $reactor, string $packet) use ($clients) {
    $type = ord($packet[0]) >> 4;
    for ($at = 1; ord($packet[$at]) > 127; $at++); // the length, which the server has read already
    $body = substr($packet, $at + 1);
    if ($type !== 1 && !$clients->exists("$fd")) {
        return $server->close($fd); // whoever has not introduced itself may do nothing else
    }
    switch ($type) {
        case 1: // CONNECT
            $clients->set("$fd", ['filters' => '']);
            return $server->send($fd, packet(0x20, "\0\0"));
        case 3: // PUBLISH; with an acknowledgement, when one is asked for
            $topic = text($body, $message);
            if (ord($packet[0]) & 6) {
                $server->send($fd, packet(0x40, substr($message, 0, 2)));
                $message = substr($message, 2);
            }
            return publish($server, $clients, $topic, $message);
        case 8: // SUBSCRIBE: filters, each with the quality that is wanted; all get the lowest one
        case 10: // UNSUBSCRIBE
            $filters = explode("\n", $clients->get("$fd", 'filters'));
            for ($left = substr($body, 2), $answer = substr($body, 0, 2); $left !== ''; $left = substr($left, $type === 8 ? 1 : 0)) {
                $filter = text($left, $left);
                $filters = $type === 8 ? [...$filters, $filter] : array_diff($filters, [$filter]);
                $answer .= $type === 8 ? "\0" : '';
            }
            $clients->set("$fd", ['filters' => implode("\n", array_unique($filters))]);
            return $server->send($fd, packet($type === 8 ? 0x90 : 0xB0, $answer));
        case 12: // PINGREQ
            return $server->send($fd, packet(0xD0, ''));
        case 14: // DISCONNECT
            return $server->close($fd);
    }
});
$server->on('close', fn (Server $server, int $fd) => $clients->del("$fd"));
$server->start();

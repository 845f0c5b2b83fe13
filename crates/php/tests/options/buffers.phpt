--TEST--
buffer_high_watermark and socket_buffer_size bound what waits for a client that does not read, buffer_low_watermark whether it is read
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

const CHUNK = 16384;

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
    $sizes = [
        ['buffer_high_watermark' => '64K'],
        ['buffer_high_watermark' => '4M', 'socket_buffer_size' => '32K'],
        ['socket_buffer_size' => '64K'],
        ['socket_buffer_size' => '4M'],
        ['buffer_high_watermark' => '4M', 'buffer_low_watermark' => '4K'],
        ['buffer_high_watermark' => '4M', 'buffer_low_watermark' => '2M'],
    ];
    foreach ($sizes as $own) {
        $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP)->set($own + ['open_eof_split' => true, 'package_eof' => "\n"]);
    }
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
        static $heard = [];
        [$word, $session] = explode(' ', trim($data)) + [1 => 0];
        $heard[$fd] = ($heard[$fd] ?? 0) + 1;
        $server->send($fd, match ($word) {
            'id' => $fd,
            // To another session.
            'send' => @$server->send((int) $session, str_repeat('x', CHUNK)) ? 'yes' : 'no',
            'waits' => $server->getClientInfo((int) $session)['send_queued_bytes'],
            'heard' => $heard[$session] ?? 0,
            default => '',
        } . "\n");
    });
    run($server, function (Client $control, Client ...$deaf) use ($mode) {
        $ids = array_map(fn (Client $one) => (int) $one->ask('id'), $deaf);
        $taken = [];
        foreach (array_slice($ids, 0, 4) as $id) {
            for ($chunks = 0; $control->ask("send $id") === 'yes'; $chunks++);
            $taken[] = $chunks * CHUNK >> 10;
        }
        // The buffers of the kernel take nearly the same of each.
        echo $mode === SWOOLE_BASE ? 'BASE' : 'PROCESS', ': ', $taken[1] > $taken[0] + 2048 && $taken[3] > $taken[2] + 2048 ? 'bounded' : json_encode($taken), "\n";

        [$low, $high] = array_slice($ids, 4);
        foreach ([$low, $high] as $id) {
            for ($least = 2 * CHUNK; (int) $control->ask("waits $id") < $least; $control->ask("send $id"));
        }
        array_map(fn (Client $one) => $one->send("more\n"), array_slice($deaf, 4));
        wait_until('the second one', fn () => $control->ask("heard $high") === '2');
        for ($rounds = 0; $rounds < 20; $rounds++) {
            $heard = $control->ask("heard $low");
        }
        echo "of the first one: $heard";
        $socket = (fn () => $this->socket)->call($deaf[4]);
        stream_set_blocking($socket, false);
        wait_until('the first one', fn () => fread($socket, 1 << 20) !== false && $control->ask("heard $low") === '2');
        echo ", and 2 when it has read\n";
    });
}
?>
--EXPECT--
PROCESS: bounded
of the first one: 1, and 2 when it has read
BASE: bounded
of the first one: 1, and 2 when it has read

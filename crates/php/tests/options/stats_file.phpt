--TEST--
stats_file, stats_timer_interval: the first worker writes what stats() tells, in three forms
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

/** What the file tells; nothing when there is none yet. */
function figures(string $file): array
{
    if (!file_exists($file)) {
        return [];
    }
    if (str_ends_with($file, '.php')) {
        return include $file;
    }
    $text = file_get_contents($file);
    if (str_ends_with($file, '.json')) {
        return json_decode($text, true, flags: JSON_THROW_ON_ERROR);
    }
    preg_match_all('/^(\w+): (\d+)$/m', $text, $found);
    return array_map('intval', array_combine($found[1], $found[2]));
}
foreach ([[SWOOLE_PROCESS, 'json'], [SWOOLE_BASE, 'php'], [SWOOLE_PROCESS, 'txt']] as [$mode, $form]) {
    $file = scratch_file() . ".$form";
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'stats_file' => $file, 'stats_timer_interval' => 20]);
    $server->on('receive', function (Swoole\Server $server, int $fd) {
        $timer = Swoole\Timer::info($server->stats_timer);
        $server->send($fd, json_encode([$timer['interval'], array_keys($server->stats())]) . "\n");
    });
    run($server, function (Client $client) use ($file, $form) {
        [$interval, $names] = json_decode($client->ask('x'), true);
        wait_until('the figures', fn () => (figures($file)['request_count'] ?? 0) > 0);
        echo "$form: every $interval ms, ", array_keys(figures($file)) === $names ? 'all figures' : 'other figures', "\n";
    });
    unlink($file);
    file_exists("$file.new") && print("something is left behind\n");
}

// A file that cannot be written is told once. Other workers write none.
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'stats_file' => '/proc/nowhere/stats.json', 'stats_timer_interval' => 1, 'dispatch_mode' => 1]);
$server->on('receive', function (Swoole\Server $server, int $fd) {
    $timer = $server->stats_timer === null ? [] : Swoole\Timer::info($server->stats_timer);
    $server->send($fd, json_encode([$server->worker_id, $timer['exec_count'] ?? null]) . "\n");
});
run($server, function (Client $client) {
    $rounds = [];
    wait_until('rounds of the timer', function () use ($client, &$rounds) {
        [$worker, $round] = json_decode($client->ask('x'));
        $rounds[$worker] = $round;
        return ($rounds[0] ?? 0) > 3 && array_key_exists(1, $rounds);
    });
    var_dump($rounds[1]);
});
?>
--EXPECTF--
json: every 20 ms, all figures
php: every 20 ms, all figures
txt: every 20 ms, all figures

Warning: %astats_file /proc/nowhere/stats.json cannot be written: No such file or directory%a
NULL

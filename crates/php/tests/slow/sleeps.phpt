--TEST--
Functions that wait for a time wait for all of it, also when the request is told as slow meanwhile; other signals end them
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$slow = scratch_file();
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'request_slowlog_timeout' => 0.1, 'request_slowlog_file' => $slow]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    pcntl_signal(SIGALRM, fn () => null);
    $began = hrtime(true);
    $answer = match (trim($data)) {
        'sleep' => sleep(1),
        'usleep' => usleep(1_000_000),
        'time_nanosleep' => time_nanosleep(0, 999_999_999),
        'time_sleep_until' => time_sleep_until(microtime(true) + 1),
        'alarm' => pcntl_alarm(1) + sleep(600) > 500 ? 'ended' : 'not ended',
    };
    $took = (hrtime(true) - $began) / 1e9;
    $server->send($fd, trim($data) . ': ' . var_export($answer, true) . ($took > 0.99 ? '' : " after $took s") . "\n");
});
run($server, function (Client $client) use ($slow) {
    foreach (['sleep', 'usleep', 'time_nanosleep', 'time_sleep_until', 'alarm'] as $function) {
        echo $client->ask($function), "\n";
    }
    wait_until('a record', fn () => str_contains(file_get_contents($slow), 'time_sleep_until'));
}, ['slow']);
?>
--EXPECT--
sleep: 0
usleep: NULL
time_nanosleep: true
time_sleep_until: true
alarm: 'ended'

--TEST--
A slow request is told with the frames of PHP wherever it waits: asleep, at a socket, busy, in a Fiber; also where workers have given their rights away
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

function asleep(): void
{
    sleep(1);
}
function at_a_socket(): void
{
    [$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_timeout($one, 1);
    fread($one, 1);
}
function busy(): void
{
    for ($until = hrtime(true) + 1_000_000_000; hrtime(true) < $until;) {
    }
}
function in_a_fiber(): void
{
    (new Fiber(function () {
        asleep();
    }))->start();
}

$slow = scratch_file();
chmod($slow, 0666);
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'request_slowlog_timeout' => 0.2, 'request_slowlog_file' => $slow]
    + (trim((string) shell_exec('id -u')) === '0' ? ['user' => 'nobody'] : []));
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    trim($data)();
    $server->send($fd, "done\n");
});
run($server, function (Client $client) use ($slow) {
    foreach (['asleep', 'at_a_socket', 'busy', 'in_a_fiber'] as $function) {
        $client->ask($function);
        $frames = '/ ' . $function . ' \(\S+' . basename(__FILE__) . ':\d+\)\n(.*\n)? *\d+ \{closure\} /';
        wait_until("a record with $function", fn () => preg_match($frames, file_get_contents($slow)) === 1);
        echo "$function is there, before its caller\n";
    }
}, ['slow']);
?>
--EXPECT--
asleep is there, before its caller
at_a_socket is there, before its caller
busy is there, before its caller
in_a_fiber is there, before its caller

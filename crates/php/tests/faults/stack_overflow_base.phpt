--TEST--
What ends a worker: a stack that overflows in functions of C (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

/** Each step takes a frame of C, until there is no room left. */
function deeper(int $depth): array
{
    return array_map('deeper', [$depth + 1]);
}

ini_set('memory_limit', '-1');
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$told = scratch_file();
$server->set(['worker_num' => 1]);
$server->on('receive', fn ($server, $fd, $reactor, $data) => $data === "fault\n" ? deeper(0) : $server->send($fd, $data));
$server->on('workerError', fn ($server, $id, $pid, $code, $signal) => file_put_contents($told, "code $code signal $signal\n"));
run($server, function (Client $client) use ($server, $told) {
    echo $client->send("fault\n")->rest() === '' ? "closed\n" : "answered\n";
    wait_until('the event', fn () => str_contains(file_get_contents($told), 'signal'));
    echo (new Client(address_of($server->ports[0])))->ask('after'), "\n";
    readfile($told);
    // The record of the death has the frames of PHP.
    $log = fn () => file_get_contents($server->setting['log_file']);
    wait_until('its stack', fn () => preg_match('/stack of a death .*deeper \(\S+stack_overflow_base\.php:\d+\)/', $log()) === 1);
    echo "with its frames\n";
}, ['worker died', 'crash', 'SIGSEGV']);
?>
--EXPECT--
closed
after
code 0 signal 11
with its frames

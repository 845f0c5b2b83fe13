--TEST--
Descriptors: what was open before the start is shared by all workers, and what is the engine's goes to no child (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$path = scratch_file();
file_put_contents($path, "one\ntwo\nthree\n");
$GLOBALS['file'] = fopen($path, 'r');
stream_set_read_buffer($GLOBALS['file'], 0);
/** Descriptors of a child that are no files; those that this process was given itself are among them. */
function of_child(): int
{
    return count(preg_grep('~socket:|memfd|eventfd|eventpoll|pidfd|timerfd|signalfd~', explode("\n", shell_exec('ls -l /proc/self/fd'))));
}
$GLOBALS['before'] = of_child();
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 2, 'dispatch_mode' => 1]);
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    if ($data === "children\n") {
        return $server->send($fd, of_child() - $GLOBALS['before'] . "\n");
    }
    $server->send($fd, "$server->worker_id " . fread($GLOBALS['file'], 4) . "\n");
});
run($server, function (Client $client) use ($server) {
    $first = explode(' ', $client->ask('read'));
    $client->line();
    $other = new Client(address_of($server->ports[0]));
    $second = explode(' ', $other->ask('read'));
    $other->line();
    // One position, wherever it is read.
    echo "$first[1] $second[1]\n", $client->ask('children'), "\n";
});
?>
--EXPECT--
one two
0

--TEST--
name: what the server is called in process titles, which is the name of the script unless it is set
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([[], ['name' => 'till']] as $settings) {
    foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set(['worker_num' => 1] + $settings);
        $server->on('receive', function (Swoole\Server $server, int $fd) {
            $title = file_get_contents("/proc/{$server->master_pid}/cmdline");
            $server->send($fd, trim($title, "\0 ") . "\n");
        });
        run($server, fn (Client $client) => print(preg_replace('~:\d+ ~', ':PORT ', $client->ask('x')) . "\n"));
    }
}

// What cannot be in a name is left out of it; a program that is no file has PHP's.
$begin = '$server = new Swoole\Server("127.0.0.1", 0); $server->on("receive", fn () => 0);
    $server->on("workerStart", fn ($server) => $server->shutdown()); $server->start();';
$script = sys_get_temp_dir() . '/a b(c)' . getmypid() . '.php';
file_put_contents($script, "<?php $begin");
foreach ([[$script], ['-r', $begin]] as $arguments) {
    $process = proc_open([...own_php(), ...$arguments], [2 => ['pipe', 'w']], $pipes);
    preg_match('~ name=(\S+)~', stream_get_contents($pipes[2]), $name);
    proc_close($process);
    echo str_replace((string) getmypid(), 'N', $name[1]), "\n";
}
unlink($script);
?>
--EXPECTF--
ostler: master 127.0.0.1:PORT (name)
ostler: master 127.0.0.1:PORT (name)
ostler: master 127.0.0.1:PORT (till)
ostler: master 127.0.0.1:PORT (till)
a-b-c-N
php%S

--TEST--
reactor_num, single_thread: the threads that have the connections (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([['reactor_num' => 3], ['reactor_num' => 1], ['reactor_num' => 3, 'single_thread' => true], ['single_thread' => true]] as $settings) {
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
    $server->set(['worker_num' => 1] + $settings);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor) {
        $names = array_map('file_get_contents', glob("/proc/$server->master_pid/task/*/comm"));
        $server->send($fd, count(preg_grep('/^reactor-/', $names)) . " $reactor\n");
    });
    run($server, function (Client $client) use ($server, $settings) {
        [$threads] = explode(' ', $client->ask('x'));
        $seen = [];
        $clients = [];
        wait_until('all reactors', function () use ($server, $threads, &$seen, &$clients) {
            $clients[] = $another = new Client(address_of($server->ports[0]));
            $seen[explode(' ', $another->ask('x'))[1]] = true;
            return count($seen) === (int) $threads;
        });
        ksort($seen);
        echo json_encode($settings), ": $threads, of sessions ", implode(' ', array_keys($seen)), "\n";
    });
}
?>
--EXPECT--
{"reactor_num":3}: 3, of sessions 0 1 2
{"reactor_num":1}: 1, of sessions 0
{"reactor_num":3,"single_thread":true}: 1, of sessions 0
{"single_thread":true}: 1, of sessions 0

--TEST--
What a task cannot be, and where, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('receive', function ($server, int $fd) {
        try {
            $server->task(fn () => 1);
        } catch (Exception $error) {
            $text = $error->getMessage();
        }
        $server->send($fd, json_encode([$text, @$server->finish('x'), $server->taskwait('x', 20.0)]) . "\n");
    });
    $server->on('task', fn ($server) => @$server->task('nested') === false ? 'refused' : 'done');
    run($server, function (Client $client) use ($server) {
        echo $client->ask('x'), "\n";
    }, []);
}
?>
--EXPECT--
["Serialization of 'Closure' is not allowed",false,"refused"]
["Serialization of 'Closure' is not allowed",false,"refused"]

--TEST--
event_object: onPipeMessage gets an object; an added process and the companion send, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'event_object' => true]);
    $told = scratch_file();
    $server->on('pipeMessage', fn (Swoole\Server $server, Swoole\Server\PipeMessage $message) => file_put_contents($told,
        json_encode([$message->source_worker_id, $message->worker_id, $message->dispatch_time > 1e9, $message->data]) . "\n", FILE_APPEND));
    $until = function (callable $done) {
        for ($end = microtime(true) + 20; !$done() && microtime(true) < $end; usleep(10_000));
    };
    $begun = new Swoole\Atomic;
    $server->on('workerStart', fn () => $begun->set(1));
    $server->addProcess(new Swoole\Process(function () use ($server, $until, $begun) {
        $until(fn () => $begun->get() === 1 && @$server->sendMessage(['of' => 'process'], 0));
        sleep(60);
    }));
    $server->on('start', fn () => $until(fn () => $begun->get() === 1 && $server->sendMessage('of companion', 0)));
    $server->on('receive', fn () => 1);
    run($server, function () use ($told) {
        wait_until('both', fn () => substr_count(file_get_contents($told), "\n") === 2);
    });
    $lines = file($told);
    sort($lines);
    echo implode($lines);
}
?>
--EXPECT--
[-1,0,true,"of companion"]
[1,0,true,{"of":"process"}]
[-1,0,true,"of companion"]
[1,0,true,{"of":"process"}]

--TEST--
Random methods with random arguments crash nothing: before the start, in all processes of a server, after the end, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/random_calls.php';

$seed = (int) (getenv('OSTLER_SEED') ?: 1);
$rounds = (int) (getenv('OSTLER_ROUNDS') ?: 60);
$shared = new Swoole\Table(64);
$shared->column('number', Swoole\Table::TYPE_INT);
$shared->column('text', Swoole\Table::TYPE_STRING, 10);
$shared->create();
$objects = [$shared, new Swoole\Atomic(), new Swoole\Lock()];
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $log = scratch_file();
    $master = getmypid();
    $whole = pcntl_fork();
    if ($whole === 0) {
        ob_start(fn () => '');
        random_calls(++$seed, 4 * $rounds, $unstarted = new Swoole\Server('127.0.0.1', 0, $mode), [], $objects);
        unset($unstarted);
        gc_collect_cycles();
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set(['worker_num' => 2, 'task_worker_num' => 1, 'log_file' => $log, 'max_wait_time' => 2, 'enable_coroutine' => false, 'event_object' => $mode === SWOOLE_BASE]);
        // What the engine gives is called and treated as well as what this program has made.
        $calls = fn (int $count) => fn (...$given) => random_calls($seed + getmypid(), $count, $server, array_slice($given, 1), [...$objects, ...array_filter($given, 'is_object')]);
        foreach (['start' => 30, 'workerStart' => 10, 'connect' => 10, 'close' => 10, 'task' => 20, 'finish' => 5, 'pipeMessage' => 5, 'workerStop' => 20,
            'packet' => 20, 'bufferFull' => 5, 'bufferEmpty' => 5, 'workerExit' => 10, 'workerError' => 10, 'managerStart' => 10, 'managerStop' => 10, 'beforeShutdown' => 10, 'shutdown' => 10] as $event => $count) {
            $server->on($event, $calls($count));
        }
        $server->on('receive', function ($server, $it) use ($calls, $rounds) {
            $fd = is_object($it) ? $it->fd : $it;
            $calls($rounds)($server, $fd);
            $server->send($fd, "done\n");
            $server->close($fd);
        });
        $datagrams = address_of($server->listen('127.0.0.1', 0, SWOOLE_SOCK_UDP));
        $server->addProcess(new Swoole\Process(function () use ($calls) {
            $calls(60)();
            sleep(60);
        }));
        $own = getmypid();
        if (pcntl_fork() === 0) {
            for ($count = 0; $count < 6; ++$count) {
                (new Client($datagrams))->send('x');
                (new Client(address_of($server->ports[0])))->send("x\n")->rest();
            }
            kill($own, SIGTERM);
            leave();
        }
        $server->start();
        random_calls($seed, 4 * $rounds, $server, [], $objects);
        leave();
    }
    pcntl_waitpid($whole, $status);
    echo pcntl_wifsignaled($status) && pcntl_wtermsig($status) === SIGKILL ? "whole\n" : "ended with $status\n";
    echo implode(preg_grep('/ died .*(signal|code 1\d\d|code 70)|panick|nonsense/', file($log)));
}
?>
--EXPECT--
whole
whole

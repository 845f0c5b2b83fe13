--TEST--
Workers are killed and reloaded with new code while clients ask: nothing is lost, and new code answers
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/pages.php';

$code = scratch_file();
$write = function (int $version) use ($code) {
    file_put_contents("$code.new", "<?php return fn (string \$line) => \"$version \$line\";");
    rename("$code.new", $code);
};
$write(0);
$reloads = amount('OSTLER_RELOADS', 12);
$killed = new Swoole\Atomic;
$reloaded = new Swoole\Atomic;
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'crash_policy' => 'redeliver:50', 'open_eof_split' => true, 'package_eof' => "\n",
    'dispatch_mode' => 3, 'back_off_min_ms' => 1, 'back_off_max_ms' => 20]);
$answer = null;
$server->on('workerStart', function () use (&$answer, $code) {
    $answer = require $code;
});
$server->on('afterReload', fn () => $reloaded->add());
$server->on('receive', function ($server, int $fd, int $reactor, string $data) use (&$answer) {
    match (trim($data)) {
        'reload' => $server->reload() && $server->send($fd, "asked\n"),
        'who' => $server->send($fd, getmypid() . "\n"),
        default => $server->send($fd, $answer(trim($data)) . "\n"),
    };
});
run($server, function (Client $client) use ($server, $write, $reloads, $reloaded, $killed) {
    $address = address_of($server->ports[0]);
    $killer = pcntl_fork();
    if ($killer === 0) {
        $own = new Client($address);
        while (true) {
            usleep(100_000);
            @Swoole\Process::kill((int) $own->ask('who'), SIGKILL) && $killed->add();
        }
    }
    $wrong = $count = 0;
    for ($version = 1; $version <= $reloads; $version++) {
        $write($version);
        $client->ask('reload');
        $oldest = $version - 1;
        for ($until = microtime(true) + PATIENCE_S; $reloaded->get() < $version && microtime(true) < $until; $count++) {
            [$from, $what] = explode(' ', $client->ask("line$count"));
            $wrong += (int) ((int) $from < $oldest || $what !== "line$count");
        }
        for ($i = 0; $i < 20; $i++, $count++) {
            $wrong += (int) ($client->ask("line$count") !== "$version line$count");
        }
    }
    kill($killer, SIGKILL);
    pcntl_waitpid($killer, $status);
    echo "$wrong wrong, ", $reloaded->get() >= $reloads ? 'all reloads' : $reloaded->get() . ' reloads', "\n";
    figure("soak: {$reloaded->get()} reloads, {$killed->get()} kills, $count requests, $wrong wrong");
    $count > 100 || print("only $count lines\n");
}, ['worker died', 'reload', 'die often', 'was given', 'not replaced', 'redeliver']);
?>
--EXPECT--
0 wrong, all reloads

--TEST--
Process::signal: the end of a child is told, and waited for in the callback
--FILE--
<?php
use Swoole\Process;

$ended = 0;
Process::signal(SIGCHLD, function () use (&$ended) {
    while ($child = Process::wait(false)) {
        $ended += $child['code'];
    }
});
foreach ([1, 2, 3] as $code) {
    (new Process(fn (Process $process) => $process->exit($code), false, 0))->start();
}
for ($until = microtime(true) + 20; $ended < 6 && microtime(true) < $until; usleep(1000));
var_dump($ended);
?>
--EXPECT--
int(6)

--TEST--
Process::signal: a sleep is interrupted, an exception is the program's
--FILE--
<?php
use Swoole\Process;

Process::signal(SIGALRM, fn () => throw new RuntimeException('woken'));
Process::alarm(50_000);
$begun = hrtime(true);
try {
    for ($i = 0; $i < 20; $i++) {
        sleep(1);
    }
} catch (RuntimeException $error) {
    echo $error->getMessage(), "\n";
}
var_dump(hrtime(true) - $begun < 15e9, Process::alarm(-1), Process::alarm(1, 99));
?>
--EXPECTF--
woken

Warning: Ostler\Process::alarm(): setitimer() failed, Error: Invalid argument[22] in %s on line %d
bool(true)
bool(true)
bool(false)

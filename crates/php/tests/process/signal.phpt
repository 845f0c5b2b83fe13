--TEST--
Process::signal: a callback, none any more, ignored, wrong numbers
--FILE--
<?php
use Swoole\Process;

var_dump(Process::signal(SIGUSR1, fn (int $signal) => print("got $signal\n")));
Process::kill(getmypid(), SIGUSR1);
Process::kill(getmypid(), SIGUSR1);
var_dump(Process::signal(SIGUSR1, SIG_IGN));
Process::kill(getmypid(), SIGUSR1);
echo "ignored\n";
var_dump(Process::signal(SIGUSR1));
var_dump(Process::signal(SIGUSR2, fn () => 1), Process::signal(SIGUSR2), @Process::signal(SIGUSR2));
var_dump(Process::signal(0), Process::signal(65), Process::signal(-1), Process::signal(SIGUSR2, 'no function'));
var_dump(Process::signal(SIGKILL, fn () => 1));
?>
--EXPECTF--
bool(true)
got 10
got 10
bool(true)
ignored

Warning: Ostler\Process::signal(): unable to find the callback of signal [10] in %s on line %d
bool(false)
bool(true)
bool(true)
bool(false)

Warning: Ostler\Process::signal(): invalid signal number [0] in %s on line %d

Warning: Ostler\Process::signal(): invalid signal number [65] in %s on line %d

Warning: Ostler\Process::signal(): invalid signal number [-1] in %s on line %d

Warning: Ostler\Process::signal(): the callback cannot be called in %s on line %d
bool(false)
bool(false)
bool(false)
bool(false)

Warning: Ostler\Process::signal(): unable to set signal [9], Error: Invalid argument[22] in %s on line %d
bool(false)

--TEST--
Process::kill: a signal, the question whether somebody lives, refusals
--FILE--
<?php
$process = new Swoole\Process(fn () => sleep(20), false, 0);
$pid = $process->start();
var_dump(Swoole\Process::kill($pid, 0), Swoole\Process::kill($pid));
$ended = Swoole\Process::wait();
var_dump($ended['signal'] === SIGTERM, Swoole\Process::kill($pid, 0));
var_dump(Swoole\Process::kill($pid, SIGTERM), Swoole\Process::kill(getmypid(), 9999), Swoole\Process::kill(1 << 40, 0));
?>
--EXPECTF--
bool(true)
bool(true)
bool(true)
bool(false)

Warning: Ostler\Process::kill(): kill(%d, 15) failed, Error: No such process[3] in %s on line %d

Warning: Ostler\Process::kill(): kill(%d, 9999) failed, Error: Invalid argument[22] in %s on line %d

Warning: Ostler\Process::kill(): kill(1099511627776, 0) failed, Error: out of range in %s on line %d
bool(false)
bool(false)
bool(false)

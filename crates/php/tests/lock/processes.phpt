--TEST--
Lock: between processes; waiting for some time; the dead hold nothing
--FILE--
<?php
use Swoole\{Lock, Process};

$lock = new Lock;
$process = new Process(function (Process $process) use ($lock) {
    $process->write(var_export($lock->lock(), true));
    $process->read();
    $lock->unlock();
    $process->write(var_export($lock->lock(), true));
    sleep(20);
});
$process->start();
var_dump($process->read(), $lock->trylock(), $lock->errCode, $lock->lockwait(0.01), $lock->errCode, $lock->lock(LOCK_EX, 0.01), $lock->unlock());
$process->write('let go');
var_dump($process->read(), $lock->trylock());
Process::kill($process->pid, SIGKILL);
var_dump($lock->lock(), $lock->unlock());
Process::wait();
$lock->lock();
$child = new Process(fn (Process $process) => $process->exit(@$lock->unlock() || @$lock->trylock() ? 1 : 2), false, 0);
$child->start();
var_dump(Process::wait()['code'], $lock->unlock());
?>
--EXPECT--
string(4) "true"
bool(false)
int(16)
bool(false)
int(110)
bool(false)
bool(false)
string(4) "true"
bool(false)
bool(true)
bool(true)
int(2)
bool(true)

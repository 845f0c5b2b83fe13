--TEST--
Process: start, messages there and back, wait
--FILE--
<?php
$process = new Swoole\Process(function (Swoole\Process $process) {
    $process->write(strtoupper($process->read()));
    $process->write($process->pid === getmypid() ? 'itself' : 'somebody else');
    exit(3);
});
var_dump($process->pid);
$pid = $process->start();
$process->write('hello');
var_dump($process->read(), $process->read(), $process->pid === $pid);
$ended = Swoole\Process::wait();
var_dump($ended['pid'] === $pid, $ended['code'], $ended['signal'], Swoole\Process::wait(false));
?>
--EXPECT--
NULL
string(5) "HELLO"
string(6) "itself"
bool(true)
bool(true)
int(3)
int(0)
bool(false)

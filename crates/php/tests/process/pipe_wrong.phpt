--TEST--
Process: no pipe, a closed pipe, nothing to write, a time that is over
--FILE--
<?php
use Swoole\Process;

$none = new Process(fn () => 1, false, 0);
var_dump($none->read(), $none->write('x'), $none->close(), $none->setTimeout(1), $none->pipe);
$process = new Process(fn () => 1);
var_dump(is_int($process->pipe), $process->write(''), $process->setTimeout(0.01), $process->read());
$process->setBlocking(false);
var_dump(@$process->read(), $process->close(Process::PIPE_WORKER), @$process->close(Process::PIPE_WORKER), $process->close(), @$process->close(9));
?>
--EXPECTF--
Warning: Ostler\Process::read(): no pipe, unable to read from the process in %s on line %d

Warning: Ostler\Process::write(): no pipe, unable to write into the process in %s on line %d

Warning: Ostler\Process::close(): no pipe, cannot close the pipe in %s on line %d

Warning: Ostler\Process::setTimeout(): no pipe, cannot set the timeout in %s on line %d
bool(false)
bool(false)
bool(false)
bool(false)
NULL

Warning: Ostler\Process::write(): the data to send is empty in %s on line %d

Warning: Ostler\Process::read(): read() failed, Error: Resource temporarily unavailable[11] in %s on line %d
bool(true)
bool(false)
bool(true)
bool(false)
bool(false)
bool(true)
bool(false)
bool(true)
bool(false)

--TEST--
Process::setAffinity, getAffinity, setPriority, getPriority, name
--FILE--
<?php
use Swoole\Process;

$before = Process::getAffinity();
var_dump(Process::setAffinity([$before[0]]), Process::getAffinity() === [$before[0]]);
var_dump(Process::setAffinity([]), Process::setAffinity([100000]), Process::setAffinity($before));
$process = new Process(function (Process $process) {
    var_dump($process->setPriority(0, 5), $process->getPriority(0), $process->getPriority(9));
    var_dump($process->name('a name'), str_starts_with(file_get_contents('/proc/self/cmdline'), 'a name'));
    var_dump($process->set(['enable_coroutine' => true]));
}, false, 0);
$process->start();
Process::wait();
?>
--EXPECTF--
bool(true)
bool(true)

Warning: Ostler\Process::setAffinity(): invalid cpu id [100000] in %s on line %d
bool(false)
bool(false)
bool(true)

Warning: Ostler\Process::getPriority(): which or who is out of range in %s on line %d
bool(true)
int(5)
bool(false)
bool(true)
bool(true)
NULL

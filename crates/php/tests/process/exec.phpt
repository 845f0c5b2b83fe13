--TEST--
Process::exec becomes another program; a failure is told
--FILE--
<?php
$process = new Swoole\Process(function (Swoole\Process $process) {
    $process->exec('/bin/sh', ['-c', 'read line; echo "got $line"; exit 7']);
}, true);
$process->start();
$process->write("it\n");
$ended = Swoole\Process::wait();
var_dump($process->read(), $ended['code']);

$process = new Swoole\Process(function (Swoole\Process $process) {
    var_dump($process->exec('/nowhere/it', []), @$process->exec('', []));
});
$process->start();
Swoole\Process::wait();
?>
--EXPECTF--
string(7) "got it
"
int(7)

Warning: Ostler\Process::exec(): execv(/nowhere/it) failed, Error: No such file or directory[2] in %s on line %d
bool(false)
bool(false)

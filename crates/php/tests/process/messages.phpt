--TEST--
Process: each message is read as a whole, a stream as it comes and to its end
--FILE--
<?php
foreach ([2, 1] as $kind) {
    $process = new Swoole\Process(function (Swoole\Process $process) {
        $process->write('one');
        $process->write('two');
    }, false, $kind);
    $process->start();
    Swoole\Process::wait();
    var_dump($process->read());
    $kind === 2 && var_dump($process->read());
    $kind === 1 && var_dump($process->read());
}
?>
--EXPECT--
string(3) "one"
string(3) "two"
string(6) "onetwo"
string(0) ""

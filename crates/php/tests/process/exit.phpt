--TEST--
Process::exit ends the process with its shutdown functions, and nobody else
--FILE--
<?php
$process = new Swoole\Process(function (Swoole\Process $process) {
    register_shutdown_function(fn () => $process->write('shutdown'));
    try {
        $process->exit(5);
    } finally {
        $process->write('finally');
    }
});
$process->start();
$ended = Swoole\Process::wait();
var_dump($process->read(), $ended['code'], $process->exit());
$wrong = new Swoole\Process(fn (Swoole\Process $process) => $process->exit(256));
$wrong->start();
var_dump(Swoole\Process::wait()['code']);
?>
--EXPECTF--
Warning: Ostler\Process::exit(): not current process in %s on line %d
string(8) "shutdown"
int(5)
bool(false)

Warning: Ostler\Process::exit(): exit ret_code range is [>0 and < 255] in %s on line %d
int(1)

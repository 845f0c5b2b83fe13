--TEST--
Process: wrong callables, constructed twice or not at all, started twice, cloned, serialised
--FILE--
<?php
use Swoole\Process;

function attempt(callable $act): void
{
    try {
        var_dump($act());
    } catch (Throwable $error) {
        echo get_class($error), ': ', $error->getMessage(), "\n";
    }
}
class Forgetful extends Process
{
    public function __construct() {}
}
$process = new Process(fn () => sleep(20), false, 0);
attempt(fn () => new Process('no function'));
attempt(fn () => new Process(fn () => 1, []));
attempt(fn () => $process->__construct(fn () => 1));
attempt(fn () => (new Forgetful)->start());
attempt(fn () => (new Swoole\Server('127.0.0.1'))->addProcess(new Forgetful));
attempt(fn () => clone $process);
attempt(fn () => serialize($process));
attempt(fn () => $process->start() > 0);
attempt(fn () => $process->start());
attempt(fn () => Process::kill($process->pid, SIGKILL));
?>
--EXPECTF--
TypeError: Ostler\Process::__construct(): Argument #1 ($callback) must be a valid callback, function "no function" not found or invalid function name
TypeError: Ostler\Process::__construct(): Argument #2 ($redirect_stdin_and_stdout) must be of type bool, array given
Error: Constructor of Ostler\Process can only be called once
Error: must call the constructor first
Error: must call the constructor first
Error: Trying to clone an uncloneable object of class Ostler\Process
Exception: Serialization of 'Ostler\Process' is not allowed
bool(true)

Warning: Ostler\Process::start(): process has already been started in %s on line %d
bool(false)
bool(true)

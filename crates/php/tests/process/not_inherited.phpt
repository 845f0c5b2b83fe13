--TEST--
The callbacks of the maker are not those of a process, nor what it has not printed yet
--FILE--
<?php
use Swoole\Process;

Process::signal(SIGUSR1, fn () => print("wrong\n"));
ob_start();
echo 'once';
$process = new Process(fn () => Process::kill(getmypid(), SIGUSR1), false, 0);
$process->start();
var_dump(Process::wait()['signal'] === SIGUSR1);
echo ob_get_clean(), "\n";
?>
--EXPECT--
oncebool(true)

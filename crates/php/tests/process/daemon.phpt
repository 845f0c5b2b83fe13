--TEST--
Process::daemon: the script goes on in the background
--FILE--
<?php
$told = tempnam(sys_get_temp_dir(), 'ostler');
$process = new Swoole\Process(function () use ($told) {
    Swoole\Process::daemon(false, false);
    echo 'nobody sees this';
    $session = explode(' ', file_get_contents('/proc/self/stat'))[5];
    file_put_contents($told, getcwd() . ' ' . var_export((int) $session === getmypid(), true));
}, false, 0);
$process->start();
var_dump(Swoole\Process::wait()['code']);
for ($until = microtime(true) + 20; file_get_contents($told) === '' && microtime(true) < $until; usleep(1000));
echo file_get_contents($told), "\n";
unlink($told);
?>
--EXPECT--
int(0)
/ true

--TEST--
A process that throws, or meets a fatal error, ends with 255
--INI--
log_errors=0
--FILE--
<?php
foreach ([fn () => throw new LogicException('no'), fn () => trigger_error('bad', E_USER_ERROR)] as $end) {
    $process = new Swoole\Process($end, false, 0);
    $process->start();
    var_dump(Swoole\Process::wait()['code']);
}
echo "the maker goes on\n";
?>
--EXPECTF--

Fatal error: Uncaught LogicException: no in %s
%A
int(255)

Fatal error: bad in %s on line %d
int(255)
the maker goes on

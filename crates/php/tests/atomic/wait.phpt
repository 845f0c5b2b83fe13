--TEST--
Atomic: wait and wakeup, between processes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$atomic = new Swoole\Atomic();
var_dump($atomic->wait(0.01), $atomic->wakeup(), $atomic->get(), $atomic->wait(0.01), $atomic->get());
$child = pcntl_fork();
if ($child === 0) {
    usleep(50000);
    $atomic->wakeup();
    leave();
}
var_dump($atomic->wait(20.0));
pcntl_waitpid($child, $status);
?>
--EXPECT--
bool(false)
bool(true)
int(1)
bool(true)
int(0)
bool(true)

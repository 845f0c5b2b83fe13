--TEST--
There is one server in a process at a time
--FILE--
<?php
$first = new Swoole\Server('127.0.0.1', 0);
try {
    new Swoole\Server('127.0.0.1', 0);
} catch (Swoole\Exception $error) {
    echo $error->getCode(), ' ', $error->getMessage(), "\n";
}
unset($first);
$second = new Swoole\Server('127.0.0.1', 0);
try {
    $second->__construct('127.0.0.1', 0);
} catch (Error $error) {
    echo get_class($error), ': ', $error->getMessage(), "\n";
}
?>
--EXPECT--
-3 there is a server in this process already
Error: Constructor of Ostler\Server can only be called once

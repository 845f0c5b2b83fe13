--TEST--
Modes, kinds and numbers that there are not
--FILE--
<?php
foreach ([[0, 9, 1], [0, 1, 99], [70000, 1, 1], [-1, 1, 1]] as [$port, $mode, $type]) {
    try {
        new Swoole\Server('127.0.0.1', $port, $mode, $type);
    } catch (Throwable $error) {
        echo get_class($error), ': ', $error->getMessage(), "\n";
    }
}
try {
    new Swoole\Server([]);
} catch (TypeError $error) {
    echo $error->getMessage(), "\n";
}
try {
    new Swoole\Server('127.0.0.1', 0, 1, 1, 1);
} catch (ArgumentCountError $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECT--
Error: invalid $mode parameters 9
Error: invalid $sock_type parameters 99
Ostler\Exception: invalid port [70000]
Ostler\Exception: invalid port [-1]
Ostler\Server::__construct(): Argument #1 ($host) must be of type string, array given
Ostler\Server::__construct() expects at most 4 arguments, 5 given

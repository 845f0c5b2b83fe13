--TEST--
A server cannot be cloned and not serialised
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
try {
    clone $server;
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
try {
    serialize($server);
} catch (Exception $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECT--
Trying to clone an uncloneable object of class Ostler\Server
Serialization of 'Ostler\Server' is not allowed

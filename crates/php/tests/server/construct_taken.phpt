--TEST--
An address that is taken is an exception with the system's number
--FILE--
<?php
$taken = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) explode(':', stream_socket_get_name($taken, false))[1];
try {
    new Swoole\Server('127.0.0.1', $port);
} catch (Swoole\Exception $error) {
    echo get_class($error), ' ', $error->getCode(), ' ', $error->getMessage(), "\n";
}
new Swoole\Server('127.0.0.1', 0);
echo "a failed one leaves room for another\n";
?>
--EXPECTF--
Ostler\Exception 98 failed to listen server port[127.0.0.1:%d], Error: Address already in use[98]
a failed one leaves room for another

--TEST--
Properties keep their types
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
foreach (['setting' => 5, 'host' => [], 'worker_id' => 'x', 'ports' => 'y'] as $name => $value) {
    try {
        $server->$name = $value;
    } catch (TypeError $error) {
        echo $error->getMessage(), "\n";
    }
}
?>
--EXPECT--
Cannot assign int to property Ostler\Server::$setting of type ?array
Cannot assign array to property Ostler\Server::$host of type string
Cannot assign string to property Ostler\Server::$worker_id of type int
Cannot assign string to property Ostler\Server::$ports of type ?array

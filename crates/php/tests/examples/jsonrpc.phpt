--TEST--
The JSON-RPC server answers, refuses, and is cut anyhow
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

run_example('jsonrpc', 1, function (string $address) {
    $client = new Client("tcp://$address");
    $message = fn (string $json) => pack('N', strlen($json)) . $json;
    $read = fn () => $client->read(unpack('N', $client->read(4))[1]);
    $first = $message('{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2,3]}');
    $client->send(substr($first, 0, 7));
    $client->send(substr($first, 7) . $message('{"jsonrpc":"2.0","id":2,"method":"reverse","params":["abc"]}'));
    echo $read(), "\n", $read(), "\n";
    $client->send($message('{"jsonrpc":"2.0","method":"add","params":[1]}') . $message('{"id":3,"method":"nothing"}'));
    echo $read(), "\n";
    $client->send($message('nonsense'));
    echo $read(), "\n";
});
?>
--EXPECT--
{"jsonrpc":"2.0","id":1,"result":6}
{"jsonrpc":"2.0","id":2,"result":"cba"}
{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"Method not found"}}
{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}

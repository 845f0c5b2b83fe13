--TEST--
The JSON-RPC server and a client in Python
--SKIPIF--
<?php
if (shell_exec('command -v python3') === null) {
    die('skip NOT CHECKED: there is no python3');
}
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$client = scratch_file();
file_put_contents($client, <<<'PYTHON'
import json, socket, struct, sys

host, port = sys.argv[1].rsplit(":", 1)
connection = socket.create_connection((host, int(port)), timeout=20)
stream = connection.makefile("rb")

def send(*requests):
    data = b""
    for request in requests:
        text = json.dumps(request).encode()
        data += struct.pack(">I", len(text)) + text
    connection.sendall(data)

def receive():
    (length,) = struct.unpack(">I", stream.read(4))
    return json.loads(stream.read(length))

def call(method, *params):
    send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return receive().get("result")

print(call("add", 1, 2.5), call("reverse", "abc"), call("factors", 1001 * 1009))
# Answers of tasks come when they are ready: they are told apart by their ids.
send(*({"jsonrpc": "2.0", "id": number, "method": "factors" if number % 2 else "add", "params": [number]} for number in range(2, 202)))
answers = {answer["id"]: answer["result"] for answer in (receive() for _ in range(200))}
print(len(answers), answers[14], answers[15], answers[199])
print(call("reverse", "x" * 100_000) == "x" * 100_000)
PYTHON);
run_example('jsonrpc', 1, function (string $address) use ($client) {
    echo shell_exec("python3 $client $address 2>&1");
});
?>
--EXPECT--
3.5 cba [7, 11, 13, 1009]
200 14 [3, 5] [199]
True

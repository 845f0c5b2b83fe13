--TEST--
What needs a server that runs says so outside of one
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
foreach ([['send', 1, 'x'], ['sendto', '127.0.0.1', 1, 'x'], ['close', 1], ['exist', 1], ['sendfile', 1, '/x'], ['pause', 1], ['resume', 1], ['protect', 1],
    ['bind', 1, 1], ['getClientInfo', 1], ['getClientList'], ['shutdown'], ['reload'], ['stop'], ['sendwait', 1, 'x']] as [$method]) {
    $arguments = array_slice(func_get_args_of($method), 0);
    $result = @$server->$method(...$arguments);
    $error = error_get_last()['message'];
    if ($result !== false || !str_ends_with($error, 'server is not running')) {
        echo "$method: ", var_export($result, true), " $error\n";
    }
    error_clear_last();
}
function func_get_args_of(string $method): array
{
    return ['send' => [1, 'x'], 'sendto' => ['127.0.0.1', 1, 'x'], 'sendfile' => [1, '/x'], 'bind' => [1, 1], 'sendwait' => [1, 'x'],
        'getClientList' => [], 'shutdown' => [], 'reload' => [], 'stop' => []][$method] ?? [1];
}
var_dump($server->getWorkerId(), $server->getMasterPid(), count($server->connections));
foreach ($server->connections as $nobody) {
    echo "somebody\n";
}
?>
--EXPECT--
bool(false)
int(0)
int(0)

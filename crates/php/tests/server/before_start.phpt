--TEST--
Before the start every call that needs a running server warns and returns false
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$calls = [
    'send' => [1, 'x'], 'sendto' => ['127.0.0.1', 1, 'x'], 'sendwait' => [1, 'x'], 'sendfile' => [1, __FILE__],
    'close' => [1], 'exist' => [1], 'exists' => [1], 'pause' => [1], 'resume' => [1], 'confirm' => [1], 'protect' => [1], 'bind' => [1, 1],
    'getClientInfo' => [1], 'connection_info' => [1], 'getClientList' => [], 'connection_list' => [], 'heartbeat' => [], 'stats' => [],
    'task' => ['x'], 'taskwait' => ['x'], 'taskWaitMulti' => [['x']], 'taskCo' => [['x']],
    'getWorkerPid' => [], 'getWorkerStatus' => [], 'reload' => [], 'stop' => [], 'shutdown' => [],
];
$warned = 0;
set_error_handler(function (int $level, string $text) use (&$warned) {
    $warned += $level === E_WARNING && str_ends_with($text, 'server is not running');
    return true;
});
foreach ($calls as $method => $arguments) {
    $warned = 0;
    $result = $server->$method(...$arguments);
    if ($result !== false || $warned !== 1) {
        echo "$method: ", var_export($result, true), ", $warned warnings\n";
    }
}
echo count($calls), " methods\n";
var_dump($server->getWorkerId(), $server->getManagerPid(), $server->getMasterPid(), $server->worker_id, $server->taskworker, $server->getLastError(), @$server->finish('x'));
?>
--EXPECT--
27 methods
bool(false)
int(0)
int(0)
int(-1)
bool(false)
int(509)
bool(false)

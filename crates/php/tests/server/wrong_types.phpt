--TEST--
Arguments that cannot be converted are TypeErrors with PHP's own words, too few or too many ArgumentCountErrors
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$wrong = [
    'set' => [['x'], ['1']], 'on' => [['receive'], [[], 'strlen']], 'getCallback' => [[], [[]]], 'listen' => [['h', 1], [[], 1, 1], ['h', 'x', 1], ['h', 1, []]],
    'addProcess' => [[]], 'start' => [[1]], 'getWorkerId' => [[1]], 'getManagerPid' => [[1]], 'getMasterPid' => [[1]], 'getLastError' => [[1]],
    'send' => [[1]], 'close' => [[]], 'task' => [[]], 'finish' => [[]], 'sendfile' => [[1]], 'sendto' => [['h', 1]], 'bind' => [[1]], 'shutdown' => [[1]],
];
foreach ($wrong as $method => $attempts) {
    foreach ($attempts as $arguments) {
        try {
            $result = $server->$method(...$arguments);
            echo "$method ", var_export($result, true), "\n";
        } catch (TypeError $error) {
            echo $error::class, ': ', $error->getMessage(), "\n";
        }
    }
}
?>
--EXPECT--
TypeError: Ostler\Server::set(): Argument #1 ($settings) must be of type array, string given
TypeError: Ostler\Server::set(): Argument #1 ($settings) must be of type array, string given
ArgumentCountError: Ostler\Server::on() expects exactly 2 arguments, 1 given
TypeError: Ostler\Server::on(): Argument #1 ($event_name) must be of type string, array given
ArgumentCountError: Ostler\Server::getCallback() expects exactly 1 argument, 0 given
TypeError: Ostler\Server::getCallback(): Argument #1 ($event_name) must be of type string, array given
ArgumentCountError: Ostler\Server::listen() expects exactly 3 arguments, 2 given
TypeError: Ostler\Server::listen(): Argument #1 ($host) must be of type string, array given
TypeError: Ostler\Server::listen(): Argument #2 ($port) must be of type int, string given
TypeError: Ostler\Server::listen(): Argument #3 ($sock_type) must be of type int, array given
ArgumentCountError: Ostler\Server::addProcess() expects exactly 1 argument, 0 given
ArgumentCountError: Ostler\Server::start() expects exactly 0 arguments, 1 given
ArgumentCountError: Ostler\Server::getWorkerId() expects exactly 0 arguments, 1 given
ArgumentCountError: Ostler\Server::getManagerPid() expects exactly 0 arguments, 1 given
ArgumentCountError: Ostler\Server::getMasterPid() expects exactly 0 arguments, 1 given
ArgumentCountError: Ostler\Server::getLastError() expects exactly 0 arguments, 1 given
ArgumentCountError: Ostler\Server::send() expects at least 2 arguments, 1 given
ArgumentCountError: Ostler\Server::close() expects at least 1 argument, 0 given
ArgumentCountError: Ostler\Server::task() expects at least 1 argument, 0 given
ArgumentCountError: Ostler\Server::finish() expects exactly 1 argument, 0 given
ArgumentCountError: Ostler\Server::sendfile() expects at least 2 arguments, 1 given
ArgumentCountError: Ostler\Server::sendto() expects at least 3 arguments, 2 given
ArgumentCountError: Ostler\Server::bind() expects exactly 2 arguments, 1 given
ArgumentCountError: Ostler\Server::shutdown() expects exactly 0 arguments, 1 given

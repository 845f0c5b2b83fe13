--TEST--
addCommand(), command(): functions that other processes of the server answer, and what is refused (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

const WORKER = SWOOLE_SERVER_COMMAND_EVENT_WORKER;
const TASK = SWOOLE_SERVER_COMMAND_TASK_WORKER;

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'task_worker_num' => 1]);
$server->on('task', fn () => 1);
$who = fn (Swoole\Server $server, string $data) => json_encode(['id' => $server->worker_id, 'got' => json_decode($data, true)]);
var_dump($server->addCommand('who', WORKER | TASK | SWOOLE_SERVER_COMMAND_MASTER, $who));
var_dump($server->addCommand('number', WORKER, fn () => 7));
var_dump($server->addCommand('who', WORKER, $who), $server->addCommand('', WORKER, $who));
var_dump($server->addCommand('x', SWOOLE_SERVER_COMMAND_REACTOR_THREAD, $who), $server->addCommand('x', 0, $who));
try {
    $server->addCommand('x', WORKER, 'no function');
} catch (TypeError $error) {
    echo $error->getMessage(), "\n";
}
var_dump(@$server->command('who', 0, WORKER, null));

$server->on('receive', function (Swoole\Server $server, int $fd) {
    $other = 1 - $server->worker_id;
    $same = fn ($answer, $id) => $answer === ['id' => $id, 'got' => ['a' => [1, null]]] ? 'yes' : var_export($answer, true);
    $refused = fn (...$given) => var_export(@$server->command(...$given), true) . ' ' . $server->getLastError();
    $closes = fn (callable $call) => $call();
    $lines = [
        $same($server->command('who', $other, WORKER, ['a' => [1, null]]), $other),
        $same($server->command('who', $server->worker_id, WORKER, ['a' => [1, null]]), $server->worker_id),
        $same($server->command('who', 0, TASK, ['a' => [1, null]]), 2),
        $same($server->command('who', 0, SWOOLE_SERVER_COMMAND_MASTER, ['a' => [1, null]]), -1),
        $server->command('who', 0, TASK, "\u{e4}", false),
        json_encode($server->command('number', $other, WORKER, 1)),
        $refused('nothing', 0, WORKER, 1),
        $refused('number', 0, TASK, 1),
        $refused('who', 0, SWOOLE_SERVER_COMMAND_MANAGER, 1),
        $refused('who', 2, WORKER, 1),
        $refused('who', 70_000, WORKER, 1),
        $refused('who', -1, WORKER, 1),
        $refused('who', 0, WORKER, "\xff"),
        var_export(@$server->addCommand('late', WORKER, fn () => ''), true),
    ];
    $server->send($fd, implode("\n", $lines) . "\nend\n");
});
run($server, function (Client $client) {
    $client->send("go\n");
    while (($line = $client->line()) !== 'end') {
        echo $line, "\n";
    }
});
?>
--EXPECT--
bool(true)
bool(true)
bool(false)
bool(false)
bool(false)
bool(false)
Ostler\Server::addCommand(): Argument #3 ($callback) must be a valid callback, function "no function" not found or invalid function name
bool(false)
yes
yes
yes
yes
{"id":2,"got":"\u00e4"}
{"data":"wrong return type","code":-2}
false 9012
false 507
false 507
false 505
false 507
false 507
false 505
false

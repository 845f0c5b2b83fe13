--TEST--
message_queue_key: told to be without effect where tasks would outlive the server; task_journal lets them, in both modes
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

/** A server whose tasks write a line each into a file. */
function server(int $mode, array $settings, string $done): Swoole\Server
{
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set($settings + ['worker_num' => 1, 'task_worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
    $server->on('task', function (Swoole\Server $server, int $id, int $from, mixed $data) use ($done) {
        // The first server never gets to its end with a task.
        if (file_exists("$done.stuck")) {
            touch("$done.began");
            sleep(600);
        }
        file_put_contents($done, "$data\n", FILE_APPEND);
    });
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
        $server->task(trim($data));
        $server->send($fd, "asked\n");
    });
    return $server;
}

$done = scratch_file();
foreach ([[], ['task_ipc_mode' => 1], ['task_ipc_mode' => 3, 'task_journal' => "$done.journal"], ['task_ipc_mode' => 2], ['task_ipc_mode' => 3]] as $settings) {
    echo json_encode($settings['task_ipc_mode'] ?? null), "\n";
    run(server(SWOOLE_PROCESS, $settings + ['message_queue_key' => 0x70001001], $done), fn (Client $client) => $client->ask('one'));
}
@unlink("$done.journal");

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    file_put_contents($done, '');
    $settings = ['task_journal' => "$done.journal", 'task_crash_policy' => 'redeliver'];
    touch("$done.stuck");
    run(server($mode, $settings + ['max_wait_time' => 1], $done), function (Client $client) use ($done) {
        echo $client->ask('kept'), "\n";
        wait_until('the task', fn () => file_exists("$done.began"));
    }, ['worker', 'task', 'killed', 'left']);
    unlink("$done.stuck");
    unlink("$done.began");
    run(server($mode, $settings, $done), function (Client $client) use ($done) {
        wait_until('the task that was left', fn () => str_contains(file_get_contents($done), 'kept'));
        echo file_get_contents($done);
    });
    unlink("$done.journal");
}
?>
--EXPECTF--
null
1
3
2

Warning: Ostler\Server::start(): the option [message_queue_key] has no effect: tasks wait in the master and not in a queue of System V; name a file in the option [task_journal] if they shall outlive the server in %s on line %d
3

Warning: Ostler\Server::start(): the option [message_queue_key] has no effect: tasks wait in the master and not in a queue of System V; name a file in the option [task_journal] if they shall outlive the server in %s on line %d
asked
kept
asked
kept

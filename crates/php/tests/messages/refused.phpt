--TEST--
sendMessage: to itself, to nobody, what cannot be serialised, before the start, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 2]);
    var_dump(@$server->sendMessage('x', 0));
    $server->on('pipeMessage', fn () => 1);
    $server->on('receive', function ($server, int $fd) {
        $warned = [];
        set_error_handler(function (int $level, string $text) use (&$warned) {
            $warned[] = $text;
            return true;
        });
        $answers = [];
        foreach ([$server->worker_id, 2, -1, PHP_INT_MAX] as $to) {
            $answers[] = $server->sendMessage('x', $to);
        }
        try {
            $server->sendMessage(fn () => 1, 1 - $server->worker_id);
        } catch (Exception $error) {
            $warned[] = $error->getMessage();
        }
        restore_error_handler();
        $server->send($fd, json_encode([$answers, str_replace('Ostler\\Server::sendMessage(): ', '', $warned)]) . "\n");
    });
    run($server, fn (Client $client) => print($client->ask('x') . "\n"));
}
?>
--EXPECT--
bool(false)
[[false,false,false,false],["can't send messages to self","worker_id[2] is invalid","worker_id[-1] is invalid","worker_id[9223372036854775807] is invalid","Serialization of 'Closure' is not allowed"]]
bool(false)
[[false,false,false,false],["can't send messages to self","worker_id[2] is invalid","worker_id[-1] is invalid","worker_id[9223372036854775807] is invalid","Serialization of 'Closure' is not allowed"]]

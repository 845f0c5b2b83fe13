--TEST--
dispatch_func: what is no worker closes the session, with a warning or without; -3 leaves it to the server
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

ini_set('display_errors', 'stderr');
$answer = new Swoole\Atomic\Long;
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'dispatch_func' => function ($server, $fd, $type, $data) use ($answer) {
    if ($answer->get() === 99) {
        return null;
    }
    return $type === 5 && $data === '' ? $answer->get() : 1000;
}]);
$told = scratch_file();
set_error_handler(fn (int $level, string $text) => (bool) file_put_contents($told, "$text\n", FILE_APPEND));
$server->on('receive', fn ($server, int $fd) => $server->send($fd, "served\n"));
run($server, function (Client $client) use ($server, $answer) {
    echo $client->ask('x'), "\n";
    foreach ([-1, -2, 99, 2, -7] as $result) {
        $answer->set($result);
        $other = new Client(address_of($server->ports[0]));
        echo $result, ' ', json_encode($other->rest()), "\n";
    }
    $answer->set(-3);
    echo (new Client(address_of($server->ports[0])))->ask('x'), "\n";
});
readfile($told);
?>
--EXPECT--
served
-1 ""
-2 ""
99 ""
2 ""
-7 ""
served
Ostler\Server::start(): invalid target worker id[2]
Ostler\Server::start(): invalid target worker id[-7]

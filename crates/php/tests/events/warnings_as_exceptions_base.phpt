--TEST--
A handler of errors may make exceptions of warnings (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1]);
$server->on('receive', function ($server, int $fd) {
    set_error_handler(fn (int $level, string $text) => throw new ErrorException($text));
    try {
        $server->send($fd, '');
    } catch (ErrorException $error) {
        $server->send($fd, $error->getMessage() . "\n");
    } finally {
        restore_error_handler();
    }
});
run($server, function (Client $client) use ($server) {
    echo $client->ask('x'), "\n";
}, []);
?>
--EXPECT--
Ostler\Server::send(): data to send is empty

--TEST--
sendMessage of unusual values: references, resources, huge arrays, objects whose __sleep throws, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

class Throws
{
    public function __serialize(): array
    {
        throw new LogicException('not me');
    }
}

ini_set('memory_limit', '1G');
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 2]);
    $server->on('pipeMessage', function (Swoole\Server $server, int $source, mixed $data) {
        [$fd, $value] = is_array($data) ? $data : [0, null];
        $fd && $server->send($fd, gettype($value) . ' ' . (is_array($value) ? count($value, COUNT_RECURSIVE) : var_export($value, true)) . "\n");
    });
    $server->on('receive', function ($server, int $fd) {
        $there = 'value';
        $to = 1 - $server->worker_id;
        $server->sendMessage([$fd, ['a' => &$there, 'b' => &$there]], $to);
        $server->sendMessage([$fd, fopen('php://memory', 'r')], $to);
        $server->sendMessage([$fd, array_fill(0, 50_000, 'text')], $to);
        try {
            $server->sendMessage([$fd, new Throws()], $to);
        } catch (LogicException $error) {
            $refused = $error->getMessage();
        }
        $long = @$server->sendMessage([$fd, str_repeat('x', 80 << 20)], $to);
        $server->sendMessage([$fd, "$refused, " . json_encode($long)], $to);
    });
    run($server, function (Client $client) {
        $client->send("x\n");
        for ($line = 0; $line < 4; $line++) {
            echo $client->line(), "\n";
        }
    });
}
?>
--EXPECT--
array 2
integer 0
array 50000
string 'not me, false'
array 2
integer 0
array 50000
string 'not me, false'

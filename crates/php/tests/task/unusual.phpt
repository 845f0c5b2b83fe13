--TEST--
Tasks of unusual values: references, resources, huge arrays, deep ones, recursion, objects whose __sleep throws, in both modes
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
    $server->set(['worker_num' => 1, 'task_worker_num' => 1]);
    $server->on('task', fn ($server, int $task, int $worker, mixed $data) => is_array($data) ? crc32(serialize($data)) : gettype($data));
    $server->on('receive', function ($server, int $fd) {
        $there = 'value';
        $reference = ['a' => &$there, 'b' => &$there];
        $huge = array_fill(0, 100_000, 'text');
        $deep = [];
        for ($depth = 0; $depth < 500; $depth++) {
            $deep = [$deep];
        }
        $self = [1];
        $self['self'] = &$self;
        $lines = [];
        foreach (['reference' => $reference, 'huge' => $huge, 'deep' => $deep] as $name => $value) {
            $answer = $server->taskwait($value, 20.0);
            $lines[] = "$name " . ($answer === crc32(serialize($value)) ? 'arrived' : var_export($answer, true));
        }
        // PHP serialises a resource as the number 0.
        $lines[] = 'resource ' . var_export($server->taskwait(fopen('php://memory', 'r'), 20.0), true);
        $lines[] = 'recursion ' . gettype(@$server->taskwait(['x' => &$self], 20.0));
        try {
            $server->taskwait(new Throws());
        } catch (LogicException $error) {
            $lines[] = 'throws ' . $error->getMessage();
        }
        // Nothing of it was sent, and the server goes on.
        $lines[] = 'then ' . $server->taskwait(1.5, 20.0);
        // Longer than a task may be: refused with a warning.
        $lines[] = 'too long ' . var_export(@$server->task(str_repeat('x', 80 << 20)), true);
        $server->send($fd, implode("\n", $lines) . "\n");
    });
    run($server, function (Client $client) {
        $client->send("x\n");
        for ($line = 0; $line < 8; $line++) {
            echo $client->line(), "\n";
        }
    });
}
?>
--EXPECT--
reference arrived
huge arrived
deep arrived
resource 'integer'
recursion integer
throws not me
then double
too long false
reference arrived
huge arrived
deep arrived
resource 'integer'
recursion integer
throws not me
then double
too long false

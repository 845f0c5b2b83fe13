--TEST--
A slow request is told with the frames of PHP, in both modes
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip the stack is copied as a whole, also what AddressSanitizer has put between its variables");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

final class Shop
{
    public function pay(): void
    {
        $until = microtime(true) + 1.0;
        array_map(function () use ($until) {
            while (microtime(true) < $until) {
                usleep(1000);
            }
        }, [1]);
    }
}
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $slow = scratch_file();
    $server->set(['worker_num' => 1, 'request_slowlog_timeout' => 0.2, 'request_slowlog_file' => $slow]);
    $server->on('receive', function ($server, int $fd) {
        (new Shop())->pay();
        $server->send($fd, "done\n");
    });
    run($server, function (Client $client) {
        echo $client->ask('x'), "\n";
    }, ['slow']);
    $text = file_get_contents($slow);
    foreach (['Shop::pay', 'array_map', '{closure}', basename(__FILE__) . ':'] as $part) {
        echo $part === basename(__FILE__) . ':' ? 'file' : $part, str_contains($text, $part) ? " is there\n" : " is missing in\n$text\n";
    }
}
?>
--EXPECT--
done
Shop::pay is there
array_map is there
{closure} is there
file is there
done
Shop::pay is there
array_map is there
{closure} is there
file is there

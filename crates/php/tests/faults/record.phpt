--TEST--
The record of a death has the frames of PHP, in both modes
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
        array_map(fn () => kill(getmypid(), SIGSEGV) ?? sleep(10), [1]);
    }
}
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $deaths = scratch_file();
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $server->set(['worker_num' => 1, 'death_log_file' => $deaths]);
    $server->on('receive', fn () => (new Shop())->pay());
    run($server, function (Client $client) use ($deaths) {
        $client->send('x')->rest();
        wait_until('the record', fn () => str_contains(file_get_contents($deaths), '"stack":["'));
        $death = json_decode(explode("\n", file_get_contents($deaths))[0], true);
        $frames = array_values(array_filter($death['stack'], fn ($frame) => preg_match('~^(Shop|array_map|\{closure}|\{main}|Ostler)~', $frame) === 1));
        echo $death['worker'], ' ', explode(',', $death['cause'])[0], ' ', preg_replace('~\(/\S+/(\S+):\d+\)~', '($1:LINE)', implode(' < ', $frames)), "\n";
    }, ['worker died', 'crash', 'SIGSEGV']);
}
?>
--EXPECT--
w0.1 SIGSEGV Shop::{closure} (record.php:LINE) < array_map < Shop::pay (record.php:LINE) < {closure} (record.php:LINE) < Ostler\Server::start < {main} (record.php:LINE)
w0.1 SIGSEGV Shop::{closure} (record.php:LINE) < array_map < Shop::pay (record.php:LINE) < {closure} (record.php:LINE) < Ostler\Server::start < {main} (record.php:LINE)

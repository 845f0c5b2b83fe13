--TEST--
swoole_error_log, swoole_error_log_ex, swoole_ignore_error write into the log of the server, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    $log = scratch_file();
    $server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
    $server->on('receive', function (Swoole\Server $server, int $fd) {
        swoole_error_log(SWOOLE_LOG_INFO, 'told as it is');
        swoole_error_log(SWOOLE_LOG_DEBUG, 'below the level');
        swoole_error_log(SWOOLE_LOG_WARNING, "two\nlines");
        swoole_error_log(SWOOLE_LOG_NONE, 'no level');
        swoole_error_log_ex(SWOOLE_LOG_NOTICE, 700, 'with a code');
        $last = swoole_last_error();
        swoole_ignore_error(701);
        swoole_error_log_ex(SWOOLE_LOG_ERROR, 701, 'nobody cares');
        $own = preg_grep('/told as it is|below|two|no level|with a code|nobody cares/', file($server->setting['log_file']));
        foreach ($own as $line) {
            $server->send($fd, preg_replace('/^\S+ /', '', $line));
        }
        $server->send($fd, "$last " . swoole_last_error() . "\n");
        $server->close($fd);
    });
    run($server, fn (Client $client) => print($client->send("\n")->rest()), ['two']);
}
// Without a server there is no log.
$descriptors = [2 => ['pipe', 'w']];
$extension = ini_get('extension_dir');
$process = proc_open([PHP_BINARY, ...array_merge(...array_map(fn ($path) => ['-d', "extension=$path"], [getenv('OSTLER_SO') ?: so_path()])), '-r', 'swoole_error_log(5, "alone");'], $descriptors, $pipes);
echo stream_get_contents($pipes[2]);

/** The extension that this process has loaded. */
function so_path(): string
{
    preg_match('~/\S*ostler\.so~', file_get_contents('/proc/self/maps'), $found);
    return $found[0];
}
?>
--EXPECTF--
INFO w0.1 told as it is
WARN w0.1 two%slines
INFO w0.1 with a code (ERRNO 700)
700 701
INFO w0.1 told as it is
WARN w0.1 two%slines
INFO w0.1 with a code (ERRNO 700)
700 701
alone

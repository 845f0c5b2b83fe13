--TEST--
What the log says of each death: PHP's message with file and line on the output, code or signal in the log
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip PHP's limit of memory is that of its own allocator");
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$output = scratch_file();
$server->set(['worker_num' => 1]);
// What a process prints while it ends goes to a file.
$server->on('workerStart', function () use ($output) {
    ini_set('display_errors', '0');
    ini_set('log_errors', '1');
    ini_set('error_log', $output);
});
$server->on('receive', function ($server, int $fd, int $reactor, string $data) {
    match (trim($data)) {
        'exception' => throw new LogicException('thrown'),
        'fatal' => trigger_error('asked for', E_USER_ERROR),
        'memory' => [ini_set('memory_limit', '4M'), str_repeat('x', 64 << 20)],
        'exit' => exit(7),
        'signal' => kill(getmypid(), SIGABRT),
    };
});
run($server, function () use ($server, $output) {
    $count = fn () => substr_count(file_get_contents($server->setting['log_file']), 'worker died');
    foreach (['exception', 'fatal', 'memory', 'exit', 'signal'] as $at => $fault) {
        (new Client(address_of($server->ports[0])))->send("$fault\n")->rest();
        wait_until('the death', fn () => $count() === $at + 1);
    }
    preg_match_all('/worker died .*exit="?(code \d+|\w+)/', file_get_contents($server->setting['log_file']), $found);
    echo implode("\n", $found[1]), "\n";
    preg_match_all('/(Fatal error: .*? in \S+log_process.php(?::| on line )\d+)/s', file_get_contents($output), $found);
    echo preg_replace(['~ in \S+/~', '~error:  ~'], [' in ', 'error: '], implode("\n", $found[1])), "\n";
}, ['worker died', 'crash', 'SIGABRT']);
?>
--EXPECTF--
code 255
code 255
code 255
code 7
SIGABRT
Fatal error: Uncaught LogicException: thrown in log_process.php:15
Fatal error: asked for in log_process.php on line 16
Fatal error: Allowed memory size of 4194304 bytes exhausted (tried to allocate %d bytes) in log_process.php on line 17

--TEST--
An error at the start of a worker, in a file with a long path: the log says file and line all the same
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$directory = sys_get_temp_dir() . '/ostler-' . getmypid() . str_repeat('/a directory of a large program', 5);
mkdir($directory, 0700, true);
file_put_contents("$directory/code.php", "<?php\n\nreturn new;\n");
$log = "$directory/log";
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
$server->set(['worker_num' => 1, 'log_file' => $log]);
$server->on('workerStart', function () use ($directory) {
    ini_set('display_errors', '0');
    require "$directory/code.php";
});
$server->on('receive', fn () => 1);
$master = getmypid();
register_shutdown_function(function () use ($master, $log, $directory) {
    if (getmypid() === $master) {
        echo str_contains(file_get_contents($log), "in $directory/code.php:3") ? "file and line are told\n" : file_get_contents($log);
        array_map('unlink', ["$directory/code.php", $log]);
        for (; basename($directory) === 'a directory of a large program'; $directory = dirname($directory)) {
            rmdir($directory);
        }
        rmdir($directory);
    }
});
$server->start();
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): failed to start server. Error: %s
file and line are told

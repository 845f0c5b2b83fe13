--TEST--
user, group, chroot: what workers are and see, in both modes
--EXTENSIONS--
posix
--SKIPIF--
<?php
if (trim(shell_exec('id -u')) !== '0') {
    die('skip only root can');
}
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$root = scratch_file();
unlink($root);
mkdir("$root/here", 0755, true);
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    foreach ([['user' => 'nobody'], ['group' => '4711'], ['user' => 'nobody', 'group' => '4711', 'chroot' => $root]] as $settings) {
        $server = new Swoole\Server('127.0.0.1', 0, $mode);
        $server->set(['worker_num' => 1] + $settings);
        $server->on('workerStart', function () use (&$ids) {
            $ids = file_exists('/here') ? 'in its own root' : 'in the root';
        });
        $server->on('receive', function ($server, int $fd) use (&$ids) {
            $server->send($fd, (posix_geteuid() === 0 ? 'root' : 'somebody') . ' ' . (posix_getegid() === 4711 ? 4711 : 'other') . " $ids\n");
        });
        run($server, fn (Client $client) => print($client->ask('x') . "\n"));
    }
}
rmdir("$root/here");
rmdir($root);
?>
--EXPECT--
somebody other in the root
root 4711 in the root
somebody 4711 in its own root
somebody other in the root
root 4711 in the root
somebody 4711 in its own root

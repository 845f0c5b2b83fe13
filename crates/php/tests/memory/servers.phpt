--TEST--
A hundred thousand servers leak nothing
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip pages are counted that others than PHP have");
?>
--FILE--
<?php
function make(): void
{
    $server = new Swoole\Server('127.0.0.1', 0);
    $server->set(['worker_num' => 1, 'open_eof_split' => true]);
    $server->on('receive', function () use ($server) {});
    $server->on('close', fn () => $server->port);
    $server->foo = $server;
}
function rounds(int $count): int
{
    for (; $count > 0; $count--) {
        make();
        gc_collect_cycles();
    }
    return memory_get_usage();
}
rounds(100);
$before = rounds(100);
$after = rounds(2000);
echo $after - $before < 4096 ? "nothing\n" : $after - $before . " bytes\n";
?>
--EXPECT--
nothing

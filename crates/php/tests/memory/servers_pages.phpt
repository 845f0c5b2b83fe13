--TEST--
Servers that are made and thrown away leave nothing worth a page
--SKIPIF--
<?php
getenv('USE_ZEND_ALLOC') === '0' && die("skip pages are counted that others than PHP have");
?>
--FILE--
<?php
require __DIR__ . '/../include/pages.php';

function make(int $count): void
{
    for (; $count > 0; $count--) {
        $server = new Swoole\Server('127.0.0.1', 0);
        $server->set(['worker_num' => 1, 'package_length_func' => fn () => 1, 'open_length_check' => true]);
        $server->on('receive', fn () => 1);
        $server->listen('127.0.0.1', 0, SWOOLE_SOCK_UDP);
        $server->addProcess(new Swoole\Process(fn () => 1));
        unset($server);
    }
}
$count = amount('OSTLER_SERVERS', 3_000);
make(1_000);
own_pages(getmypid());
$before = own_pages(getmypid());
make($count);
$grown = own_pages(getmypid()) - $before;
figure("new Server: $count objects, $grown pages");
// The allocator of the C library may take another few pages for its own.
echo $grown <= 2 + intdiv($count, 20_000) ? "nothing\n" : "$grown pages in $count servers\n";
?>
--EXPECT--
nothing

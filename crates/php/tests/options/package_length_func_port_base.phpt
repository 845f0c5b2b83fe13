--TEST--
package_length_func of a port: the others keep their framing (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

final class Cutter
{
    public function length(string $data): int
    {
        return 2;
    }
}
$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
$server->set(['worker_num' => 1, 'open_eof_split' => true, 'package_eof' => "\n"]);
$port = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
$port->set(['open_length_check' => true, 'package_length_func' => [new Cutter, 'length']]);
$server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, json_encode($data)));
run($server, function (Client $lines, Client $pairs) {
    echo $lines->send("abc\n")->read(7), $pairs->send('abcd')->read(8), "\n";
});
?>
--EXPECT--
"abc\n""ab""cd"

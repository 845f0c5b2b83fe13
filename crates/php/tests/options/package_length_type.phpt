--TEST--
package_length_type: each letter that PHP has for a number, in both modes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$letters = ['c', 'C', 's', 'S', 'n', 'v', 'l', 'L', 'N', 'V', 'q', 'Q', 'J', 'P'];
foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode);
    foreach ($letters as $number => $letter) {
        $port = $number === 0 ? $server : $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP);
        $port->set(['open_length_check' => true, 'package_length_type' => $letter, 'package_body_offset' => strlen(pack($letter, 0))]);
    }
    $server->set(['worker_num' => 1]);
    $server->on('receive', fn ($server, int $fd, int $reactor, string $data) => $server->send($fd, strlen($data) . ' ' . substr($data, -5)));
    run($server, function (Client ...$clients) use ($letters) {
        foreach ($letters as $number => $letter) {
            $bytes = strlen(pack($letter, 0));
            $clients[$number]->send(pack($letter, 5) . 'hello' . pack($letter, 6) . 'again!');
            $told = $clients[$number]->read(strlen($bytes + 5 . ' hello' . ($bytes + 6) . ' gain!'));
            $told === $bytes + 5 . ' hello' . ($bytes + 6) . ' gain!' || print("$letter: $told\n");
        }
    });
}
echo "done\n";
?>
--EXPECT--
done

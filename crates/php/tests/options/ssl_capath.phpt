--TEST--
ssl_capath, also with ssl_cafile and ssl_client_cert_file, in both modes: whom one of them trusts is let in
--EXTENSIONS--
openssl
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/certificates.php';

$names = ['directory', 'file', 'other', 'later', 'stranger'];
$authorities = array_combine($names, array_map('certificate', $names));
$own = certificate('one.test');
$clients = array_map(fn ($name) => certificate("client.$name", $authorities[$name]), array_combine($names, $names));
$directory = scratch_file() . '.authorities';
mkdir($directory);
copy($authorities['directory'][0], "$directory/directory.crt");
copy($authorities['stranger'][0], "$directory/stranger.txt");

/** Who is let in, of those whom each authority has signed. */
function let_in(string $address, array $clients): string
{
    return implode(' ', array_keys(array_filter($clients, function (array $files) use ($address) {
        $connection = tls_client($address, 'one.test', ['local_cert' => $files[0], 'local_pk' => $files[1]]);
        return $connection !== null && @fwrite($connection[0], "hello\n") && @fgets($connection[0]) === "hello\n";
    })));
}

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    @unlink("$directory/later.pem");
    $server = new Swoole\Server('127.0.0.1', 0, $mode, SWOOLE_SOCK_TCP | SWOOLE_SSL);
    $ssl = ['ssl_cert_file' => $own[0], 'ssl_key_file' => $own[1], 'ssl_capath' => $directory];
    $server->set($ssl + ['worker_num' => 1, 'ssl_verify_peer' => true]);
    $all = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP | SWOOLE_SSL);
    $all->set($ssl + [
        'ssl_verify_peer' => true,
        'ssl_cafile' => $authorities['file'][0],
        'ssl_client_cert_file' => $authorities['other'][0],
    ]);
    // Without ssl_verify_peer nobody is asked.
    $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP | SWOOLE_SSL)->set($ssl);
    $server->on('receive', fn (Swoole\Server $server, int $fd, int $reactor, string $data) => $server->send($fd, $data));
    run($server, function (Client ...$plain) use ($server, $clients, $directory, $authorities) {
        array_map(fn (Client $one) => $one->close(), $plain);
        [$directory_alone, $together, $open] = array_map('address_of', $server->ports);
        echo let_in($directory_alone, $clients), "\n", let_in($together, $clients), "\n", let_in($open, $clients), "\n";
        copy($authorities['later'][0], "$directory/new");
        rename("$directory/new", "$directory/later.pem");
        wait_until('the new authority', fn () => let_in($directory_alone, $clients) === 'directory later');
        echo let_in($together, $clients), "\n";
    }, ['handshake']);
}
array_map('unlink', glob("$directory/*"));
rmdir($directory);

$server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS, SWOOLE_SOCK_TCP | SWOOLE_SSL);
$server->set($ssl + ['ssl_verify_peer' => true, 'log_file' => '/dev/null']);
$server->on('receive', fn () => null);
$server->start();
?>
--EXPECTF--
directory
directory file other
directory file other later stranger
directory file other later
directory
directory file other
directory file other later stranger
directory file other later

Fatal error: Ostler\Server::start(): failed to start server. Error: cannot read `%s.authorities`: No such file or directory%S in %s on line %d

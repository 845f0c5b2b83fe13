--TEST--
ssl_cert_file, ssl_key_file, ssl_sni_certs, ssl_verify_peer, ssl_cafile, ssl_client_cert_file, ssl_protocols, in both modes
--EXTENSIONS--
openssl
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/certificates.php';

$authority = certificate('authority');
[$first, $second, $client_files] = array_map(fn ($name) => certificate($name, $authority), ['one.test', 'two.test', 'client']);
/** What comes back on such a connection. */
function echoed(?array $connection): string
{
    if ($connection === null) {
        return 'refused';
    }
    @fwrite($connection[0], "hello\n");
    return $connection[1] . ' ' . var_export(@fgets($connection[0]), true);
}

foreach ([SWOOLE_PROCESS, SWOOLE_BASE] as $mode) {
    $server = new Swoole\Server('127.0.0.1', 0, $mode, SWOOLE_SOCK_TCP | SWOOLE_SSL);
    $server->set([
        'worker_num' => 1,
        'ssl_cert_file' => $first[0],
        'ssl_key_file' => $first[1],
        'ssl_sni_certs' => ['two.test' => ['ssl_cert_file' => $second[0], 'ssl_key_file' => $second[1]]],
    ]);
    $strict = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP | SWOOLE_SSL);
    $strict->set([
        'ssl_cert_file' => $first[0],
        'ssl_key_file' => $first[1],
        'ssl_verify_peer' => true,
        'ssl_cafile' => $authority[0],
        'ssl_protocols' => SWOOLE_SSL_TLSv1_3,
    ]);
    $other = $server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP | SWOOLE_SSL);
    $other->set([
        'ssl_cert_file' => $first[0],
        'ssl_key_file' => $first[1],
        'ssl_verify_peer' => true,
        'ssl_client_cert_file' => $authority[0],
    ]);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) {
        $shown = $server->getClientInfo($fd)['ssl_client_cert'] ?? null;
        $server->send($fd, ($shown === null ? '' : openssl_x509_parse($shown)['subject']['CN'] . ': ') . $data);
    });
    run($server, function (Client ...$plain) use ($server, $strict, $other, $client_files) {
        array_map(fn (Client $one) => $one->close(), $plain);
        [$address, $strict, $other] = array_map('address_of', [$server->ports[0], $strict, $other]);
        echo echoed(tls_client($address, 'one.test')), "\n", echoed(tls_client($address, 'two.test')), "\n";
        echo echoed(tls_client($address, 'three.test')), "\n";
        $shows = ['local_cert' => $client_files[0], 'local_pk' => $client_files[1]];
        echo echoed(tls_client($strict, 'one.test', $shows)), "\n";
        echo str_contains(echoed(tls_client($strict, 'one.test')), 'hello') ? 'served' : 'not served', "\n";
        echo echoed(tls_client($other, 'one.test', $shows)), "\n";
        $old = ['crypto_method' => STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT];
        echo echoed(tls_client($other, 'one.test', $shows + $old)), echoed(tls_client($strict, 'one.test', $shows + $old)), "\n";
    }, ['handshake']);
}
?>
--EXPECT--
one.test 'hello
'
two.test 'hello
'
one.test 'hello
'
one.test 'client: hello
'
not served
one.test 'client: hello
'
one.test 'client: hello
'refused
one.test 'hello
'
two.test 'hello
'
one.test 'hello
'
one.test 'client: hello
'
not served
one.test 'client: hello
'
one.test 'client: hello
'refused

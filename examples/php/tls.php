<?php
/**
 * One service on two ports: plain for the machines of the house, encrypted for everybody else.
 *
 *     php -d extension=target/php/ostler.so examples/php/tls.php --cert=FILE --key=FILE [--listen=HOST:PORT] [--tls=HOST:PORT]
 *
 * Files of certificates that change are read again by the running server. For a try:
 *
 *     openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout key.pem -out cert.pem
 *     openssl s_client -quiet -connect 127.0.0.1:9502
 */

declare(strict_types=1);

use Swoole\Server;

['cert' => $cert, 'key' => $key, 'listen' => $listen, 'tls' => $tls] = getopt('', ['cert:', 'key:', 'listen:', 'tls:'])
    + ['cert' => 'cert.pem', 'key' => 'key.pem', 'listen' => '127.0.0.1:9501', 'tls' => '127.0.0.1:0'];
[$plain, $encrypted] = array_map(fn (string $address) => parse_url("tcp://$address"), [$listen, $tls]);

$server = new Server($plain['host'], $plain['port'], SWOOLE_PROCESS);
$server->set(['worker_num' => 2, 'open_eof_split' => true, 'package_eof' => "\n"]);

// A port with settings of its own inherits none.
$port = $server->listen($encrypted['host'], $encrypted['port'], SWOOLE_SOCK_TCP | SWOOLE_SSL);
$port->set([
    'open_eof_split' => true,
    'package_eof' => "\n",
    'ssl_cert_file' => $cert,
    'ssl_key_file' => $key,
    'ssl_protocols' => SWOOLE_SSL_TLSv1_3,
]);

$server->on('start', function (Server $server) use ($port) {
    echo "listening on $server->host:$server->port\n", "encrypted on $port->host:$port->port\n";
});
$answer = fn (string $how) => function (Server $server, int $fd, int $reactor, string $line) use ($how) {
    $client = $server->getClientInfo($fd);
    $server->send($fd, "$how, port {$client['server_port']}: " . strrev(rtrim($line)) . "\n");
};
$server->on('receive', $answer('plain'));
$port->on('receive', $answer('encrypted')); // an event that has no callback of the port's goes to the server's
$server->start();

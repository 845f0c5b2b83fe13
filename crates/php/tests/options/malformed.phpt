--TEST--
Values that an option cannot have
--FILE--
<?php
foreach ([
    ['package_eof' => ''],
    ['package_eof' => '123456789'],
    ['package_length_type' => 'z', 'open_length_check' => true],
    ['package_max_length' => '12X'],
    ['package_length_offset' => 8153],
    ['package_body_offset' => 1 << 40],
    ['package_body_start' => 8153],
    ['ssl_protocols' => SWOOLE_SSL_TLSv1 | SWOOLE_SSL_TLSv1_1],
    ['socket_buffer_size' => 'much'],
    ['crash_policy' => 'sometimes'],
] as $settings) {
    $child = pcntl_fork();
    if ($child === 0) {
        $server = new Swoole\Server('127.0.0.1', 0);
        $server->set(['open_eof_split' => true] + $settings);
        $server->on('receive', fn () => 1);
        $server->start();
        exit(0);
    }
    pcntl_waitpid($child, $status);
    var_dump(pcntl_wexitstatus($status));
}
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): package_eof cannot be an empty string in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): package_eof max length is 8 in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): unknown package_length_type 'z' in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): the size of package_max_length is malformed in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): 'package_length_offset' value is too large in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): 'package_body_offset' value is too large in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): 'package_body_start' value is too large in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): ssl_protocols names neither TLS 1.2 nor 1.3 in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): the size of socket_buffer_size is malformed in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): failed to start server. Error: %acrash_policy%a
int(255)

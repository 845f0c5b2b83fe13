--TEST--
package_length_func, dispatch_func that cannot be called: the server does not start
--FILE--
<?php
foreach (['package_length_func', 'dispatch_func'] as $name) {
    if (pcntl_fork() === 0) {
        $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
        $server->set([$name => 'no_function', 'open_length_check' => true]);
        $server->on('receive', fn () => 1);
        $server->start();
        exit;
    }
    pcntl_wait($status);
    var_dump(pcntl_wexitstatus($status));
}
?>
--EXPECTF--
Fatal error: Ostler\Server::start(): package_length_func is not callable in %s on line %d
int(255)

Fatal error: Ostler\Server::start(): dispatch_func is not callable in %s on line %d
int(255)

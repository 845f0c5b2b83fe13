--TEST--
on() takes any callable, whatever the case of the name
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
final class Handlers
{
    public function method() {}
    public static function still() {}
}
$callables = ['strlen', fn () => 1, [new Handlers(), 'method'], ['Handlers', 'still'], 'Handlers::still'];
foreach ($callables as $callable) {
    var_dump($server->on('ReCeive', $callable), $server->getCallback('receive') === $callable);
}
var_dump($server->getCallback('close'), $server->getCallback('nothing'));
var_dump($server->on('nothing', fn () => 1));
var_dump($server->on('close', 'no_such_function'));
?>
--EXPECTF--
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
NULL
NULL

Warning: Ostler\Server::on(): unknown event types[nothing] in %s on line %d
bool(false)

Warning: Ostler\Server::on(): the callback cannot be called in %s on line %d
bool(false)

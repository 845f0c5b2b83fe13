--TEST--
Classes have a name of Swoole and one of their own
--FILE--
<?php
foreach (['Server', 'Server\\Port', 'Exception', 'ExitException', 'Constant'] as $name) {
    var_dump(class_exists("Swoole\\$name") && class_exists("Ostler\\$name"));
}
var_dump((new ReflectionClass('Swoole\\Server'))->getName());
var_dump(SWOOLE_PROCESS === OSTLER_PROCESS, SWOOLE_BASE, SWOOLE_PROCESS, SWOOLE_SOCK_UNIX_DGRAM);
var_dump(Swoole\Constant::EVENT_WORKER_START, Swoole\Constant::OPTION_WORKER_NUM);
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
string(13) "Ostler\Server"
bool(true)
int(1)
int(2)
int(6)
string(11) "workerStart"
string(10) "worker_num"

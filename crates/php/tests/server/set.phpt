--TEST--
set() merges, and warns of what it does not know
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
var_dump($server->set(['worker_num' => 1, 'reactor_num' => 3]));
var_dump($server->set(['worker_num' => 2]));
var_dump($server->setting);
var_dump($server->set(['worker_nmu' => 1]));
var_dump($server->set(['no_such_thing_at_all' => 1]));
var_dump($server->set(['crash_policy' => 'redeliver:2']));
try {
    $server->set('x');
} catch (TypeError $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECTF--
bool(true)
bool(true)
array(2) {
  ["worker_num"]=>
  int(2)
  ["reactor_num"]=>
  int(3)
}

Warning: Ostler\Server::set(): unsupported option [worker_nmu], did you mean [worker_num]? in %s on line %d
bool(true)

Warning: Ostler\Server::set(): unsupported option [no_such_thing_at_all] in %s on line %d
bool(true)
bool(true)
Ostler\Server::set(): Argument #1 ($settings) must be of type array, string given

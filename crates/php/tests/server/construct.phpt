--TEST--
The constructor takes the address at once
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
var_dump($server->host, $server->port > 0, $server->type === SWOOLE_SOCK_TCP, $server->ssl, $server->mode);
var_dump(count($server->ports), $server->ports[0]->port === $server->port, get_class($server->ports[0]));
var_dump($server->setting, $server->worker_id, $server->master_pid, $server->taskworker);
?>
--EXPECT--
string(9) "127.0.0.1"
bool(true)
bool(true)
bool(false)
int(1)
int(1)
bool(true)
string(18) "Ostler\Server\Port"
array(0) {
}
int(-1)
int(0)
bool(false)

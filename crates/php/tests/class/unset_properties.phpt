--TEST--
Properties that were unset crash nothing
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
foreach (['setting', 'connections', 'host', 'port', 'type', 'ssl', 'mode', 'ports', 'master_pid', 'manager_pid', 'worker_id', 'worker_pid'] as $name) {
    unset($server->$name);
}
var_dump($server->set(['worker_num' => 1]), $server->on('close', fn () => 1), $server->getMasterPid(), $server->getManagerPid());
var_dump($server->listen('127.0.0.1', 0, SWOOLE_SOCK_TCP) instanceof Swoole\Server\Port);
?>
--EXPECT--
bool(true)
bool(true)
int(0)
int(0)
bool(true)

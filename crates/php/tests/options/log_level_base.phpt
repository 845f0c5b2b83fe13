--TEST--
log_level: the least that is written (BASE mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach ([SWOOLE_LOG_DEBUG, SWOOLE_LOG_INFO, SWOOLE_LOG_WARNING, 'info'] as $level) {
    $log = scratch_file();
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_BASE);
    $server->set(['worker_num' => 1, 'log_file' => $log, 'log_level' => $level]);
    $server->on('receive', fn ($server, $fd, $reactor, $data) => $server->send($fd, $data) && $server->shutdown());
    $address = address_of($server->ports[0]);
    if (pcntl_fork() === 0) {
        (new Client($address))->ask('x');
        leave();
    }
    $server->start();
    pcntl_wait($status);
    preg_match_all('/ (DEBUG|INFO|WARN|ERROR) /', file_get_contents($log), $found);
    echo "$level: ", implode(' ', array_intersect(['DEBUG', 'INFO', 'WARN', 'ERROR'], $found[1])), "\n";
}
?>
--EXPECT--
0: DEBUG INFO
2: INFO
4: 
info: INFO

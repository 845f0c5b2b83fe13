--TEST--
Process: standard input and output are the pipe
--FILE--
<?php
$process = new Swoole\Process(function () {
    echo 'said ', fgets(STDIN);
}, true);
$process->start();
$process->write("hello\n");
Swoole\Process::wait();
var_dump($process->read());
?>
--EXPECT--
string(11) "said hello
"

--TEST--
Constants have the numbers of the reference
--FILE--
<?php
$expected = ['SOCK_TCP' => 1, 'SOCK_UDP' => 2, 'SOCK_TCP6' => 3, 'SOCK_UDP6' => 4, 'SOCK_UNIX_STREAM' => 5, 'SOCK_UNIX_DGRAM' => 6,
    'DISPATCH_ROUND' => 1, 'DISPATCH_FDMOD' => 2, 'DISPATCH_IDLE_WORKER' => 3, 'DISPATCH_IPMOD' => 4, 'DISPATCH_UIDMOD' => 5,
    'DISPATCH_RESULT_DISCARD_PACKET' => -1, 'TASK_NOREPLY' => 128, 'IPC_PREEMPTIVE' => 3, 'WORKER_EXIT' => 3, 'LOG_NONE' => 6,
    'ERROR_SESSION_CLOSED' => 1004, 'ERROR_OUTPUT_BUFFER_OVERFLOW' => 1009, 'ERROR_DATA_LENGTH_TOO_LARGE' => 1203];
foreach ($expected as $name => $number) {
    if (constant("SWOOLE_$name") !== $number || constant("OSTLER_$name") !== $number) {
        echo "$name\n";
    }
}
var_dump(Swoole\Constant::EVENT_RECEIVE, Swoole\Constant::OPTION_DISPATCH_MODE, swoole_cpu_num() > 0, swoole_version() !== '');
?>
--EXPECT--
string(7) "receive"
string(13) "dispatch_mode"
bool(true)
bool(true)

--TEST--
Each name of the reference is there, or stands with its reason in docs/php/DIFFERENCES.md
--FILE--
<?php
/** The names of Swoole 6.2 for servers without HTTP. */
$names = [
    'Server' => '__construct set on getCallback listen addlistener addProcess addCommand start stop shutdown reload send sendto sendwait
        sendfile close pause resume confirm exists exist protect bind task taskwait taskWaitMulti taskCo finish sendMessage command
        getClientInfo connection_info getClientList connection_list heartbeat stats getWorkerId getWorkerPid getWorkerStatus getManagerPid
        getMasterPid getSocket getLastError $setting $connections $host $port $type $ssl $mode $ports $master_pid $manager_pid $worker_id
        $worker_pid $taskworker $stats_timer $admin_server',
    'Server\Port' => 'set on getCallback getSocket $host $port $type $sock $ssl $setting $connections',
    'Server\Event' => '$reactor_id $fd $dispatch_time $data',
    'Server\Packet' => '$server_socket $server_port $dispatch_time $address $port $data',
    'Server\PipeMessage' => '$source_worker_id $worker_id $dispatch_time $data',
    'Server\StatusInfo' => '$worker_id $worker_pid $status $exit_code $signal',
    'Server\TaskResult' => '$task_id $task_worker_id $dispatch_time $data',
    'Server\Task' => 'finish pack unpack $id $worker_id $flags $dispatch_time $data',
    'Connection\Iterator' => 'rewind next current key valid count offsetExists offsetGet offsetSet offsetUnset',
    'Timer' => 'tick after clear clearAll exists info list stats',
    'Timer\Iterator' => 'rewind',
    'Process' => '__construct start read write exportSocket push pop useQueue statQueue freeQueue name exec exit close kill wait signal
        alarm daemon setAffinity getAffinity setPriority getPriority setBlocking setTimeout $pid $id $pipe $msgQueueId $msgQueueKey',
    'Table' => '__construct column create set get del delete incr decr exists exist count stats add update cmpset cmpdel getdel
        getSize getMemorySize destroy $size $memorySize',
    'Atomic' => 'add sub get set cmpset wait wakeup',
    'Atomic\Long' => 'add sub get set cmpset',
    'Lock' => '__construct lock unlock',
    'Exception' => 'getMessage',
    'ExitException' => 'getMessage',
    'Constant' => '',
    'Process\Pool' => '', 'Coroutine' => '', 'Runtime' => '', 'Event' => '',
];
$functions = 'swoole_last_error swoole_timer_tick swoole_timer_after swoole_timer_clear swoole_timer_clear_all swoole_timer_exists
    swoole_timer_info swoole_timer_list swoole_timer_stats swoole_version swoole_cpu_num swoole_errno swoole_clear_error swoole_strerror
    swoole_set_process_name swoole_error_log swoole_error_log_ex swoole_ignore_error swoole_get_local_ip swoole_get_local_mac swoole_hashcode
    swoole_substr_unserialize swoole_substr_json_decode swoole_async_set swoole_clear_dns_cache swoole_coroutine_create
    swoole_coroutine_defer swoole_event_defer swoole_mime_type_get swoole_mime_type_add swoole_mime_type_exists swoole_mime_type_set
    swoole_mime_type_delete swoole_mime_type_list swoole_client_select swoole_get_objects swoole_get_object_by_handle swoole_get_vm_status';
$events = 'start beforeShutdown shutdown managerStart managerStop beforeReload afterReload workerError workerStart workerStop workerExit
    connect receive packet close bufferFull bufferEmpty task finish pipeMessage request open message handshake beforeHandshakeResponse disconnect';
$constants = ['BASE' => 1, 'PROCESS' => 2, 'THREAD' => 3,
    'SOCK_TCP' => 1, 'SOCK_UDP' => 2, 'SOCK_TCP6' => 3, 'SOCK_UDP6' => 4, 'SOCK_UNIX_STREAM' => 5, 'SOCK_UNIX_DGRAM' => 6,
    'SOCK_RAW' => 7, 'SOCK_RAW6' => 8, 'SSL' => 512,
    'DISPATCH_ROUND' => 1, 'DISPATCH_FDMOD' => 2, 'DISPATCH_IDLE_WORKER' => 3, 'DISPATCH_IPMOD' => 4, 'DISPATCH_UIDMOD' => 5,
    'DISPATCH_USERFUNC' => 6, 'DISPATCH_STREAM' => 7, 'DISPATCH_CO_CONN_LB' => 8, 'DISPATCH_CO_REQ_LB' => 9, 'DISPATCH_CONCURRENT_LB' => 10,
    'DISPATCH_RESULT_DISCARD_PACKET' => -1, 'DISPATCH_RESULT_CLOSE_CONNECTION' => -2, 'DISPATCH_RESULT_USERFUNC_FALLBACK' => -3,
    'TASK_TMPFILE' => 1, 'TASK_SERIALIZE' => 2, 'TASK_NONBLOCK' => 4, 'TASK_CALLBACK' => 8, 'TASK_WAITALL' => 16, 'TASK_COROUTINE' => 32,
    'TASK_PEEK' => 64, 'TASK_NOREPLY' => 128, 'IPC_NONE' => 0, 'IPC_UNSOCK' => 1, 'IPC_UNIXSOCK' => 1, 'IPC_MSGQUEUE' => 2,
    'IPC_PREEMPTIVE' => 3, 'IPC_SOCKET' => 3, 'TIMER_MIN_MS' => 1, 'TIMER_MIN_SEC' => 0.001, 'TIMER_MAX_MS' => PHP_INT_MAX,
    'TIMER_MAX_SEC' => (float) intdiv(PHP_INT_MAX, 1000), 'SSL_SSLv2' => 2, 'SSL_TLSv1' => 8, 'SSL_TLSv1_1' => 16, 'SSL_TLSv1_2' => 32,
    'SSL_TLSv1_3' => 64, 'SSL_DTLS' => 128, 'HOOK_TCP' => 2, 'HOOK_STREAM_FUNCTION' => 128, 'HOOK_STREAM_SELECT' => 128, 'HOOK_FILE' => 256,
    'HOOK_SLEEP' => 512, 'HOOK_CURL' => 2048, 'HOOK_NATIVE_CURL' => 4096, 'HOOK_STDIO' => 32768, 'HOOK_PDO_SQLITE' => 524288,
    'HOOK_MONGODB' => 4194304, 'HOOK_ALL' => 2147481599, 'TRACE_SERVER' => 2, 'TRACE_HTTP2' => 2048, 'TRACE_TIMER' => 8388608,
    'TRACE_CARES' => 1073741824, 'TRACE_ALL' => PHP_INT_MAX,
    'SERVER_COMMAND_MASTER' => 2, 'SERVER_COMMAND_REACTOR_THREAD' => 4, 'SERVER_COMMAND_EVENT_WORKER' => 8, 'SERVER_COMMAND_WORKER' => 8,
    'SERVER_COMMAND_TASK_WORKER' => 16, 'SERVER_COMMAND_MANAGER' => 32, 'WORKER_BUSY' => 1, 'WORKER_IDLE' => 2, 'WORKER_EXIT' => 3,
    'LOG_DEBUG' => 0, 'LOG_TRACE' => 1, 'LOG_INFO' => 2, 'LOG_NOTICE' => 3, 'LOG_WARNING' => 4, 'LOG_ERROR' => 5, 'LOG_NONE' => 6,
    'LOG_ROTATION_SINGLE' => 0, 'LOG_ROTATION_MONTHLY' => 1, 'LOG_ROTATION_DAILY' => 2, 'LOG_ROTATION_HOURLY' => 3,
    'LOG_ROTATION_EVERY_MINUTE' => 4, 'STRERROR_SYSTEM' => 0, 'STRERROR_GAI' => 1, 'STRERROR_DNS' => 2, 'STRERROR_SWOOLE' => 9, 'ERROR_MALLOC_FAIL' => 501, 'ERROR_SYSTEM_CALL_FAIL' => 502, 'ERROR_PHP_FATAL_ERROR' => 503,
    'ERROR_NAME_TOO_LONG' => 504, 'ERROR_INVALID_PARAMS' => 505, 'ERROR_QUEUE_FULL' => 506, 'ERROR_OPERATION_NOT_SUPPORT' => 507,
    'ERROR_PROTOCOL_ERROR' => 508, 'ERROR_WRONG_OPERATION' => 509, 'ERROR_FILE_NOT_EXIST' => 700, 'ERROR_FILE_TOO_LARGE' => 701,
    'ERROR_FILE_EMPTY' => 702, 'ERROR_NO_PAYLOAD' => 550, 'ERROR_BAD_IPV6_ADDRESS' => 720, 'ERROR_UNREGISTERED_SIGNAL' => 721,
    'ERROR_SESSION_CLOSED_BY_SERVER' => 1001, 'ERROR_SESSION_CLOSED_BY_CLIENT' => 1002, 'ERROR_SESSION_CLOSING' => 1003,
    'ERROR_SESSION_CLOSED' => 1004, 'ERROR_SESSION_NOT_EXIST' => 1005, 'ERROR_SESSION_INVALID_ID' => 1006,
    'ERROR_SESSION_DISCARD_TIMEOUT_DATA' => 1007, 'ERROR_SESSION_DISCARD_DATA' => 1008, 'ERROR_OUTPUT_BUFFER_OVERFLOW' => 1009,
    'ERROR_OUTPUT_SEND_YIELD' => 1010, 'ERROR_SSL_NOT_READY' => 1011, 'ERROR_SSL_VERIFY_FAILED' => 1014,
    'ERROR_SSL_HANDSHAKE_FAILED' => 1018, 'ERROR_SSL_CREATE_CONTEXT_FAILED' => 1019, 'ERROR_SSL_CREATE_SESSION_FAILED' => 1020,
    'ERROR_EVENT_REMOVE_FAILED' => 800, 'ERROR_EVENT_ADD_FAILED' => 801, 'ERROR_EVENT_UPDATE_FAILED' => 802, 'ERROR_EVENT_UNKNOWN_DATA' => 803,
    'ERROR_EVENT_SOCKET_REMOVED' => 800, 'ERROR_EVENT_SOCKET_INVALID' => 801, 'ERROR_SOCKET_NOT_EXISTS' => 6003,
    'ERROR_PHP_RUNTIME_NOTICE' => 510, 'ERROR_UNDEFINED_BEHAVIOR' => 600, 'ERROR_NOT_THREAD_SAFETY' => 601, 'ERROR_DIR_NOT_EXIST' => 703,
    'ERROR_DNSLOOKUP_DUPLICATE_REQUEST' => 710, 'ERROR_DNSLOOKUP_NO_SERVER' => 714, 'ERROR_BAD_HOST_ADDR' => 722, 'ERROR_BAD_PORT' => 723,
    'ERROR_BAD_SOCKET_TYPE' => 724, 'ERROR_SERVER_UNRELATED_THREAD' => 9016, 'ERROR_SOCKET_CLOSED' => 6001, 'ERROR_SOCKET_POLL_TIMEOUT' => 6002, 'ERROR_SERVER_CONNECT_FAIL' => 9011, 'ERROR_PACKAGE_LENGTH_TOO_LARGE' => 1201,
    'ERROR_PACKAGE_LENGTH_NOT_FOUND' => 1202, 'ERROR_DATA_LENGTH_TOO_LARGE' => 1203, 'ERROR_PACKAGE_MALFORMED_DATA' => 1204,
    'ERROR_TASK_PACKAGE_TOO_BIG' => 2001, 'ERROR_TASK_DISPATCH_FAIL' => 2002, 'ERROR_TASK_TIMEOUT' => 2003,
    'ERROR_SERVER_TOO_MANY_SOCKET' => 9002, 'ERROR_SERVER_WORKER_TERMINATED' => 9003, 'ERROR_SERVER_INVALID_LISTEN_PORT' => 9004,
    'ERROR_SERVER_TOO_MANY_LISTEN_PORT' => 9005, 'ERROR_SERVER_PIPE_BUFFER_FULL' => 9006, 'ERROR_SERVER_NO_IDLE_WORKER' => 9007,
    'ERROR_SERVER_ONLY_START_ONE' => 9008, 'ERROR_SERVER_SEND_IN_MASTER' => 9009, 'ERROR_SERVER_INVALID_COMMAND' => 9012,
    'ERROR_SERVER_IS_NOT_REGULAR_FILE' => 9013, 'ERROR_SERVER_SEND_TO_WOKER_TIMEOUT' => 9014, 'ERROR_SERVER_INVALID_CALLBACK' => 9015,
    'ERROR_SERVER_WORKER_EXIT_TIMEOUT' => 9101, 'ERROR_SERVER_WORKER_ABNORMAL_PIPE_DATA' => 9102, 'ERROR_SERVER_WORKER_UNPROCESSED_DATA' => 9103];

$words = fn (string $text) => preg_split('/\s+/', $text, -1, PREG_SPLIT_NO_EMPTY);
$missing = [];
foreach ($names as $class => $members) {
    if (!class_exists("Swoole\\$class")) {
        $missing[] = $class;
        continue;
    }
    foreach ($words($members) as $member) {
        $is_there = $member[0] === '$' ? property_exists("Swoole\\$class", substr($member, 1)) : method_exists("Swoole\\$class", $member);
        $is_there || $missing[] = "$class::$member";
    }
}
$missing = array_merge($missing, array_filter($words($functions), fn ($name) => !function_exists($name)));
$server = new Swoole\Server('127.0.0.1', 0);
foreach ($words($events) as $event) {
    @$server->on($event, fn () => null) || $missing[] = 'on' . ucfirst($event);
}
foreach ($constants as $name => $number) {
    if (!defined("SWOOLE_$name")) {
        $missing[] = "SWOOLE_$name";
    } elseif (constant("SWOOLE_$name") !== $number && $name !== 'SSL') {
        echo "SWOOLE_$name is ", constant("SWOOLE_$name"), "\n";
    }
}

$page = file_get_contents(__DIR__ . '/../../../../docs/php/DIFFERENCES.md');
preg_match('/## What is not there\n(.*)/s', $page, $section);
preg_match_all('/^\| (`[^|]+) \| ([^|]+) \|$/m', $section[1], $rows, PREG_SET_ORDER);
$documented = [];
foreach ($rows as [, $cell, $reason]) {
    preg_match_all('/`([^`]+)`/', $cell, $found);
    $documented = array_merge($documented, $found[1]);
}
foreach (array_diff($missing, $documented) as $name) {
    echo "$name is missing, and the page does not say why\n";
}
foreach (array_diff($documented, $missing) as $name) {
    echo "$name is there, and the page says that it is not\n";
}
echo "done\n";
?>
--EXPECT--
done

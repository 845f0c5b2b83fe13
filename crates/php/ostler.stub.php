<?php

/**
 * What the extension declares, for editors and for reading. A test compares it with what PHP says of the extension.
 * Under `Swoole\` the same classes have their other names.
 *
 * @generate-class-entries
 */

namespace Ostler {
    class Server
    {
        /** What was set, completed by `start()` with what is in force. */
        public ?array $setting = null;
        /** The sessions that this process sees: walk, count, `isset`, index. */
        public ?object $connections = null;
        public string $host = '';
        /** The number that the kernel chose, if 0 was asked for. */
        public int $port = 0;
        public int $type = 0;
        public bool $ssl = false;
        public int $mode = 0;
        /** @var list<Server\Port> the primary one first */
        public ?array $ports = null;
        public int $master_pid = 0;
        public int $manager_pid = 0;
        /** -1 outside of workers. */
        public int $worker_id = -1;
        public bool $taskworker = false;
        public int $worker_pid = 0;
        /** The timer that writes `stats_file`, in the worker that does. */
        public ?int $stats_timer = null;

        /** Takes the address at once; an exception with the system's number when it cannot be had. */
        public function __construct(string $host = '0.0.0.0', int $port = 0, int $mode = \SWOOLE_BASE, int $sock_type = \SWOOLE_SOCK_TCP) {}
        /** Another port. */
        public function listen(string $host, int $port, int $sock_type): object|false {}
        public function addlistener(string $host, int $port, int $sock_type): object|false {}
        /** A callback, before the start; the name's case is the same. */
        public function on(string $event_name, mixed $callback): bool {}
        public function getCallback(string $event_name): mixed {}
        /** Options: docs/php/OPTIONS.md. */
        public function set(array $settings): bool {}
        /** A process beside the workers, which the server supervises; its index. */
        public function addProcess(object $process): int|false {}
        /**
         * A function that `command()` calls in another process, before the start. `$accepted_process_types` are bits of
         * `SWOOLE_SERVER_COMMAND_*`; master and manager are the companion.
         */
        public function addCommand(string $name, int $accepted_process_types, callable $callback): bool {}
        /** Calls it with `$data` as JSON and waits ten seconds at most. */
        public function command(string $name, int $process_id, int $process_type, mixed $data, bool $json_decode = true): mixed {}
        /** Returns, in the master, when the server has ended. */
        public function start(): bool {}
        public function send(int|string $fd, string $send_data, int $serverSocket = -1): bool {}
        public function sendto(string $ip, int $port, string $send_data, int $server_socket = -1): bool {}
        public function close(int $fd, bool $reset = false): bool {}
        public function sendfile(int $conn_fd, string $filename, int $offset = 0, int $length = 0): bool {}
        public function sendwait(int $conn_fd, string $send_data): bool {}
        /** Work for a task worker; a number, or false. */
        public function task(mixed $data, int $taskWorkerIndex = -1, ?callable $finishCallback = null): int|false {}
        public function taskwait(mixed $data, float $timeout = 0.5, int $taskWorkerIndex = -1): mixed {}
        public function taskWaitMulti(array $tasks, float $timeout = 0.5): array|false {}
        /** To `onPipeMessage` of another worker. */
        public function sendMessage(mixed $message, int $dst_worker_id): bool {}
        /** A result, in `onTask`. */
        public function finish(mixed $data): bool {}
        public function taskCo(array $tasks, float $timeout = 0.5): array|false {}
        /** What the server has done, and in workers what this one has. */
        public function stats(): array|false {}
        /** Nobody, as long as silent sessions are ended: that happens to the millisecond. */
        public function heartbeat(bool $ifCloseConnection = true): array|false {}
        /** `SWOOLE_WORKER_BUSY` or `SWOOLE_WORKER_EXIT`, of the worker that asks. */
        public function getWorkerStatus(int $worker_id = -1): int|false {}
        public function pause(int $fd): bool {}
        public function resume(int $fd): bool {}
        public function confirm(int $fd): bool {}
        public function protect(int $fd, bool $is_protected = true): bool {}
        public function bind(int $fd, int $uid): bool {}
        public function getClientList(int $start_fd = 0, int $find_count = 10): array|false {}
        public function connection_list(int $start_fd = 0, int $find_count = 10): array|false {}
        public function exists(int $fd): bool {}
        public function exist(int $fd): bool {}
        public function getClientInfo(int $fd, int $reactor_id = -1, bool $ignoreError = false): array|false {}
        public function connection_info(int $fd, int $reactor_id = -1, bool $ignoreError = false): array|false {}
        public function getWorkerId(): int|false {}
        public function getWorkerPid(int $worker_id = -1): int|false {}
        public function getManagerPid(): int {}
        public function getMasterPid(): int {}
        /** False: listening sockets belong to the master. */
        public function getSocket(int $port = 0): mixed {}
        public function getLastError(): int {}
        public function shutdown(): bool {}
        public function reload(bool $only_reload_taskworker = false): bool {}
        /** Replaces the worker that calls it; what it has in hand is done first, whatever `$waitEvent` says. */
        public function stop(int $workerId = -1, bool $waitEvent = false): bool {}
    }

    class Timer
    {
        public static function tick(int $ms, mixed $callback, mixed ...$params): int|false {}
        public static function after(int $ms, mixed $callback, mixed ...$params): int|false {}
        public static function exists(int $timer_id): bool {}
        public static function info(int $timer_id): ?array {}
        public static function stats(): array {}
        public static function list(): object {}
        public static function clear(int $timer_id): bool {}
        public static function clearAll(): bool {}
    }

    class Atomic
    {
        public function __construct(int $value = 0) {}
        public function add(int $add_value = 1): int {}
        public function sub(int $sub_value = 1): int {}
        public function get(): int {}
        public function set(int $value): void {}
        public function wait(float $timeout = 1.0): bool {}
        public function wakeup(int $count = 1): bool {}
        public function cmpset(int $cmp_value, int $new_value): bool {}
    }

    class Table implements \Iterator, \Countable
    {
        /** How many rows were asked for. */
        public $size = null;
        /** How many bytes they take, from `create()` on. */
        public $memorySize = null;

        public function __construct(int $table_size, float $conflict_proportion = 0.2) {}
        /** Before `create()`. */
        public function column(string $name, int $type, int $size = 0): bool {}
        public function create(): bool {}
        /** What is not given stays; a row that is not there begins with zeros and empty texts. */
        public function set(string $key, array $value): bool {}
        public function get(string $key, ?string $field = null): mixed {}
        /** Only if there is no such row. */
        public function add(string $key, array $values): bool {}
        /** Only if there is one. */
        public function update(string $key, array $values): bool {}
        /** Only if the row has the values that are expected. */
        public function cmpset(string $key, array $expected, array $values): bool {}
        public function cmpdel(string $key, array $expected): bool {}
        /** What was there, which nobody else gets. */
        public function getdel(string $key, ?string $field = null): mixed {}
        public function del(string $key): bool {}
        public function delete(string $key): bool {}
        public function exists(string $key): bool {}
        public function exist(string $key): bool {}
        public function incr(string $key, string $column, int|float $incrby = 1): int|float|false {}
        public function decr(string $key, string $column, int|float $incrby = 1): int|float|false {}
        public function count(): int {}
        /** `num` says how many rows there are; the rest is about Swoole's own way to keep them, and 0. */
        public function stats(): array|false {}
        public function getSize(): int {}
        /** How many bytes it takes, for all processes together; null before `create()`. */
        public function getMemorySize(): ?int {}
        /** This object is no table any more; what it took in memory goes with the object. */
        public function destroy(): bool {}
        public function rewind(): void {}
        public function next(): void {}
        public function current(): mixed {}
        public function key(): mixed {}
        public function valid(): bool {}
    }

    /** What one process at a time holds; a dead one holds nothing. */
    class Lock
    {
        /** Why the last call was refused: a number of the system. */
        public int $errCode = 0;

        public function __construct(int $type = \SWOOLE_MUTEX) {}
        /** `LOCK_EX` or `LOCK_SH`, with `LOCK_NB` without waiting. */
        public function lock(int $operation = \LOCK_EX, float $timeout = -1.0): bool {}
        public function lockwait(float $timeout = 1.0): bool {}
        public function trylock(): bool {}
        public function lock_read(): bool {}
        public function trylock_read(): bool {}
        public function unlock(): bool {}
        public function destroy(): void {}
    }

    /** A process of the program's own: beside a server (`Server::addProcess`), or by itself (`start`). */
    class Process
    {
        /** The number of this side's end of the pipe. */
        public $pipe = null;
        public $msgQueueId = null;
        public $msgQueueKey = null;
        public $pid = null;
        /** Its number among the processes of a server, behind those of all workers. */
        public $id = null;

        /** `$pipe_type`: 0 none, 1 a stream, 2 messages. */
        public function __construct(callable $callback, bool $redirect_stdin_and_stdout = false, int $pipe_type = 2, bool $enable_coroutine = false) {}
        /** Its number, in the process that calls this. */
        public function start(): int|false {}
        public function read(int $size = 8192): string|false {}
        public function write(string $data): int|false {}
        public function close(int $which = 0): bool {}
        public function exit(int $exit_code = 0): bool {}
        /** Becomes another program; a path, which is not looked for. */
        public function exec(string $exec_file, array $args): bool {}
        public function name(string $process_name): bool {}
        public function set(array $settings): void {}
        public function setTimeout(float $seconds): bool {}
        public function setBlocking(bool $blocking): void {}
        public function setPriority(int $which, int $priority, ?int $who = null): bool {}
        public function getPriority(int $which, ?int $who = null): int|false {}
        public static function kill(int $pid, int $signal_no = 15): bool {}
        /** `pid`, `code`, `signal` of a child that has ended. */
        public static function wait(bool $blocking = true): array|false {}
        /** The callback runs between two instructions of the program. */
        public static function signal(int $signal_no, mixed $callback = null): bool {}
        public static function alarm(int $usec, int $type = 0): bool {}
        public static function daemon(bool $nochdir = true, bool $noclose = true, array $pipes = []): bool {}
        public static function setAffinity(array $cpu_settings): bool {}
        public static function getAffinity(): array {}
    }

    class Exception extends \Exception {}
    class ExitException extends Exception {}
    class Constant {}
}

namespace Ostler\Server {
    class Port
    {
        public ?string $host = null;
        public int $port = 0;
        public int $type = 0;
        public int $sock = -1;
        public bool $ssl = false;
        public ?array $setting = null;
        public ?object $connections = null;

        private function __construct() {}
        public function set(array $settings): void {}
        public function on(string $event_name, mixed $callback): bool {}
        public function getCallback(string $event_name): mixed {}
        /** False: listening sockets belong to the master. */
        public function getSocket(): mixed {}
    }

    /** With `event_object`: what `onConnect`, `onReceive` and `onClose` get beside the server. */
    class Event
    {
        public int $reactor_id = 0;
        public int $fd = 0;
        public float $dispatch_time = 0.0;
        public mixed $data = null;
    }

    /** The same of `onPacket`. */
    class Packet
    {
        public int $server_socket = 0;
        public int $server_port = 0;
        public float $dispatch_time = 0.0;
        public string $address = '';
        public int $port = 0;
        public string $data = '';
    }

    /** The same of `onPipeMessage`. */
    class PipeMessage
    {
        public int $source_worker_id = 0;
        public int $worker_id = 0;
        public float $dispatch_time = 0.0;
        public mixed $data = null;
    }

    /** The same of `onWorkerError`. */
    class StatusInfo
    {
        public int $worker_id = 0;
        public int $worker_pid = 0;
        public int $status = 0;
        public int $exit_code = 0;
        public int $signal = 0;
    }

    /** With `task_use_object` or `event_object`: what `onTask` gets. */
    class Task
    {
        public mixed $data = null;
        public float $dispatch_time = 0.0;
        public int $id = -1;
        public int $worker_id = -1;
        public int $flags = 0;

        /** A result, as long as `onTask` runs. */
        public function finish(mixed $data): bool {}
    }

    /** With `event_object`: what `onFinish` gets. */
    class TaskResult
    {
        public int $task_id = 0;
        public int $task_worker_id = 0;
        public float $dispatch_time = 0.0;
        public mixed $data = null;
    }
}

namespace Ostler\Timer {
    class Iterator extends \ArrayIterator {}
}

namespace Ostler\Atomic {
    class Long
    {
        public function __construct(int $value = 0) {}
        public function add(int $add_value = 1): int {}
        public function sub(int $sub_value = 1): int {}
        public function get(): int {}
        public function set(int $value): void {}
        public function cmpset(int $cmp_value, int $new_value): bool {}
    }
}

namespace Ostler\Connection {
    class Iterator implements \Iterator, \Countable, \ArrayAccess
    {
        public function rewind(): void {}
        public function next(): void {}
        public function current(): mixed {}
        public function key(): mixed {}
        public function valid(): bool {}
        public function count(): int {}
        public function offsetExists(mixed $fd): bool {}
        public function offsetGet(mixed $fd): mixed {}
        public function offsetSet(mixed $fd, mixed $value): void {}
        public function offsetUnset(mixed $fd): void {}
    }
}

namespace {
    function swoole_last_error(): int {}
    function swoole_errno(): int {}
    function swoole_clear_error(): void {}
    /** The release of Swoole whose API is here; `OSTLER_VERSION` is the own one. */
    function swoole_version(): string {}
    function swoole_cpu_num(): int {}
    function swoole_set_process_name(string $process_name): bool {}
    function swoole_strerror(int $errno, int $error_type = 0): string {}
    function swoole_timer_tick(int $ms, mixed $callback, mixed ...$params): int|false {}
    function swoole_timer_after(int $ms, mixed $callback, mixed ...$params): int|false {}
    function swoole_timer_exists(int $timer_id): bool {}
    function swoole_timer_info(int $timer_id): ?array {}
    function swoole_timer_stats(): array {}
    function swoole_timer_list(): object {}
    function swoole_timer_clear(int $timer_id): bool {}
    function swoole_timer_clear_all(): bool {}
    /** The hash of PHP's arrays, or with 1 Jenkins' one-at-a-time. */
    function swoole_hashcode(string $data, int $type = 0): int|false {}
    /** False where the string has no such part. */
    function swoole_substr_unserialize(string $str, int $offset, int $length = 0, array $options = []): mixed {}
    /** False where the string has no such part. */
    function swoole_substr_json_decode(string $str, int $offset, int $length = 0, ?bool $associative = null, int $depth = 512, int $flags = 0): mixed {}
    /** Addresses of IPv4 by the names of their interfaces. */
    function swoole_get_local_ip(): array|false {}
    function swoole_get_local_mac(): array|false {}
    /** A line of the server's log, or of standard error where no server runs. */
    function swoole_error_log(int $level, string $msg): void {}
    /** The same with a code, which is the last error from now on. */
    function swoole_error_log_ex(int $level, int $error, string $msg): void {}
    /** `swoole_error_log_ex` writes nothing of this code. */
    function swoole_ignore_error(int $error): void {}
}

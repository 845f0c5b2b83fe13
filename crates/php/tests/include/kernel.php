<?php
/** What the kernel tells of the sockets of other processes. Needs `ext/ffi`, and a server with `harden` off. */

/** Whether this process may look into those that it has not started itself. */
function may_look(): bool
{
    $scope = @file_get_contents('/proc/sys/kernel/yama/ptrace_scope');
    return PHP_OS_FAMILY === 'Linux' && ($scope === false || trim($scope) === '0' || trim(shell_exec('id -u')) === '0');
}

/** The numbers of sockets' inodes by their own and their peer's port; the peer of one that listens is 0. */
function inode_of(int $own, int $peer): ?string
{
    foreach (file('/proc/net/tcp') as $line) {
        $fields = preg_split('/\s+/', trim($line));
        $ports = array_map(fn (string $address) => hexdec(substr(strrchr($address, ':'), 1)), array_slice($fields, 1, 2));
        if ($ports === [$own, $peer] && $fields[9] !== '0') {
            return $fields[9];
        }
    }
    return null;
}

/** A socket that another process has open, as a number of this one. */
function take_socket(FFI $libc, string $inode): int
{
    foreach (glob('/proc/[0-9]*/fd/*') as $path) {
        [, , $pid, , $number] = explode('/', $path);
        if (@readlink($path) === "socket:[$inode]" && (int) $pid !== getmypid()) {
            $process = $libc->syscall(434, (int) $pid, 0); // pidfd_open
            $socket = $libc->syscall(438, $process, (int) $number, 0); // pidfd_getfd
            $libc->close($process);
            if ($socket >= 0) {
                return $socket;
            }
        }
    }
    throw new RuntimeException("nobody has the socket $inode, or it may not be looked at");
}

/** Options of a socket of another process: `[level, name, place]`, by names of their own. */
function socket_options(int $own, int $peer, array $wanted): array
{
    $libc = FFI::cdef('long syscall(long number, ...); int close(int fd); int getsockopt(int fd, int level, int name, void *value, unsigned int *length);', 'libc.so.6');
    $inode = inode_of($own, $peer) ?? throw new RuntimeException("no socket has the ports $own and $peer");
    $socket = take_socket($libc, $inode);
    $found = [];
    foreach ($wanted as $key => [$level, $name, $place]) {
        $value = FFI::new('int[64]');
        $length = FFI::new('unsigned int');
        $length->cdata = 256;
        $libc->getsockopt($socket, $level, $name, FFI::addr($value), FFI::addr($length)) === 0
            || throw new RuntimeException("getsockopt of $key failed");
        $found[$key] = $value[$place];
    }
    $libc->close($socket);
    return $found;
}

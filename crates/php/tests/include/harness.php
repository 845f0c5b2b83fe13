<?php
/**
 * What the tests of the extension have in common: a server in this process, and its client in another one that was
 * forked before. Whatever the client prints is the output of the test; when it is done it ends the server.
 *
 * The engine's log goes to a file. When the server has ended the test says what of it was not to be expected: warnings
 * and errors, and books that do not balance.
 */

declare(strict_types=1);

use Ostler\Server;

/** How long anything may take before a test says that it does not happen. */
const PATIENCE_S = 20.0;

final class Client
{
    /** @var resource */
    private $socket;

    public function __construct(string $address)
    {
        $until = microtime(true) + PATIENCE_S;
        do {
            $socket = @stream_socket_client($address, $code, $text, PATIENCE_S);
        } while ($socket === false && microtime(true) < $until && usleep(2000) === null);
        if ($socket === false) {
            throw new RuntimeException("cannot connect to $address: $text");
        }
        $this->socket = $socket;
        stream_set_timeout($socket, (int) PATIENCE_S);
    }

    public function send(string $bytes): self
    {
        for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
            $count = fwrite($this->socket, substr($bytes, $sent));
            if ($count === false || $count === 0) {
                throw new RuntimeException('cannot send');
            }
        }
        return $this;
    }

    /** Exactly so many bytes. */
    public function read(int $length): string
    {
        for ($bytes = ''; strlen($bytes) < $length; $bytes .= $more) {
            $more = fread($this->socket, $length - strlen($bytes));
            if ($more === false || $more === '') {
                throw new RuntimeException("got only '$bytes'");
            }
        }
        return $bytes;
    }

    /** A line without its end. */
    public function line(): string
    {
        $line = fgets($this->socket);
        if ($line === false) {
            throw new RuntimeException('no line came');
        }
        return rtrim($line, "\r\n");
    }

    /** Sends a line and reads another one. */
    public function ask(string $line): string
    {
        return $this->send("$line\n")->line();
    }

    /** Whatever comes until the server closes. */
    public function rest(): string
    {
        return (string) stream_get_contents($this->socket);
    }

    /** One datagram. */
    public function datagram(): string
    {
        return (string) fread($this->socket, 65536);
    }

    public function close(): void
    {
        fclose($this->socket);
    }
}

/** Waits until something holds. */
function wait_until(string $what, callable $holds): void
{
    for ($until = microtime(true) + PATIENCE_S; !$holds(); usleep(2000)) {
        if (microtime(true) > $until) {
            throw new RuntimeException("timed out: waited for $what");
        }
    }
}

/** A file that is gone when the test is over. */
function scratch_file(): string
{
    $path = tempnam(sys_get_temp_dir(), 'ostler');
    $owner = getmypid();
    register_shutdown_function(function () use ($path, $owner) {
        if (getmypid() === $owner) {
            @unlink($path);
        }
    });
    return $path;
}

/** The address of a port for `stream_socket_client`. */
function address_of(object $port): string
{
    return match ($port->type & ~SWOOLE_SSL) {
        SWOOLE_SOCK_TCP => "tcp://127.0.0.1:{$port->port}",
        SWOOLE_SOCK_TCP6 => "tcp://[::1]:{$port->port}",
        SWOOLE_SOCK_UDP => "udp://127.0.0.1:{$port->port}",
        SWOOLE_SOCK_UDP6 => "udp://[::1]:{$port->port}",
        SWOOLE_SOCK_UNIX_STREAM => "unix://{$port->host}",
        SWOOLE_SOCK_UNIX_DGRAM => "udg://{$port->host}",
    };
}

/**
 * Runs the server until `$client`, which is called with a client of each port, returns. `$expected` are parts of the
 * lines of warnings and errors that the test provokes.
 */
function run(Server $server, callable $client, array $expected = []): void
{
    $log = scratch_file();
    $server->set(['log_file' => $log] + ($server->setting ?? []) + ['reactor_num' => 1, 'max_wait_time' => 10]);
    $addresses = array_map('address_of', $server->ports);
    $master = getmypid();
    $child = pcntl_fork();
    if ($child === 0) {
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        try {
            wait_until('the server', fn () => str_contains(file_get_contents($log), ' listening on '));
            $client(...array_map(fn ($address) => new Client($address), $addresses));
        } catch (Throwable $error) {
            echo 'the client failed: ', $error->getMessage(), ' in line ', $error->getLine(), "\n";
            readfile($log);
        }
        kill($master, SIGTERM);
        leave();
    }
    $server->start();
    pcntl_waitpid($child, $status);
    check_log($log, $expected);
}

/** Ends this process without its shutdown functions, which are those of the test. */
function leave(): never
{
    ob_get_level() > 0 && ob_end_flush();
    flush();
    kill(getmypid(), SIGKILL);
    exit;
}

/** `posix_kill`, which not every PHP has; else the shell does it, which every machine has: `kill` need not be a program. */
function kill(int $pid, int $signal): void
{
    static $kill = null;
    if (function_exists('posix_kill')) {
        posix_kill($pid, $signal);
    } else {
        proc_close(proc_open("kill -$signal $pid", [], $pipes));
    }
}

/** What the log of a server says that `run` runs. */
function log_of(Server $server): string
{
    return file_get_contents($server->setting['log_file']);
}

function check_log(string $log, array $expected = []): void
{
    $books = false;
    foreach (file($log, FILE_IGNORE_NEW_LINES) as $line) {
        $is_loud = preg_match('/ (WARN|ERROR) /', $line) === 1;
        $is_known = array_filter($expected, fn ($part) => str_contains($line, $part)) !== [];
        if ($is_loud && !$is_known) {
            echo "the log says: $line\n";
        }
        if (str_contains($line, ' books ')) {
            $books = true;
            preg_match_all('/(\w+)=(\d+)/', $line, $found);
            $book = array_map('intval', array_combine($found[1], $found[2]));
            $closed = array_sum(array_filter($book, fn ($key) => $key === 'closed', ARRAY_FILTER_USE_KEY));
            if ($closed !== ($book['accepted'] ?? 0)) {
                echo "the books do not balance: $line\n";
            }
        }
    }
    if (!$books) {
        echo "there are no books:\n";
        readfile($log);
    }
}

/** PHP as it runs this test, with the extension, as the beginning of a command. */
function own_php(): array
{
    preg_match('~\S*/ostler\.so~', file_get_contents('/proc/self/maps'), $found);
    return [PHP_BINARY, '-n', '-d', "extension=$found[0]"];
}

/** Runs an example, and calls `$client` with the words of its lines `... ADDRESS`. */
function run_example(string $name, int $lines, callable $client, string ...$arguments): void
{
    $log = scratch_file();
    $script = __DIR__ . "/../../../../examples/php/$name.php";
    $script = file_exists($script) ? $script : __DIR__ . "/../../../examples/php/$name.php";
    $process = proc_open(
        [...own_php(), realpath($script), '--listen=127.0.0.1:0', ...$arguments],
        [1 => ['pipe', 'w'], 2 => ['file', $log, 'w']],
        $pipes,
    );
    $addresses = [];
    for (; $lines > 0; $lines--) {
        $line = fgets($pipes[1]);
        $line === false && print(file_get_contents($log));
        $addresses[] = substr(strrchr(trim((string) $line), ' '), 1);
    }
    $client(...$addresses);
    proc_terminate($process, SIGTERM);
    echo stream_get_contents($pipes[1]);
    $code = proc_close($process);
    echo $code === 0 ? '' : "$name ended with $code\n";
    check_log($log);
}

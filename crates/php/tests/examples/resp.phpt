--TEST--
The RESP server and the tools of Redis
--SKIPIF--
<?php
if (shell_exec('command -v redis-cli') === null) {
    die('skip NOT CHECKED: there is no redis-cli (Debian: redis-tools)');
}
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

run_example('resp', 1, function (string $address) {
    [$host, $port] = explode(':', $address);
    $cli = function (string ...$arguments) use ($host, $port) {
        $command = implode(' ', array_map('escapeshellarg', ['redis-cli', '--no-raw', '-h', $host, '-p', $port, ...$arguments]));
        echo shell_exec("$command 2>&1");
    };
    foreach ([['PING'], ['SET', 'name', "a b\n\u{e9}"], ['GET', 'name'], ['GET', 'nothing'], ['STRLEN', 'name'], ['SET', 'other', ''],
        ['EXISTS', 'name', 'other', 'third'], ['DBSIZE'], ['DEL', 'name', 'third'], ['KEYS', '*'], ['GET'], ['NONSENSE'],
        ['SET', 'long', str_repeat('x', 1025)]] as $command) {
        $cli(...$command);
    }
    echo shell_exec("printf 'PING\\nECHO two\\n' | redis-cli -h $host -p $port");
    // Many at once, many in each; the tool fails when an answer is wrong.
    exec("redis-benchmark -h $host -p $port -n 2000 -c 10 -P 16 -q -t ping,set,get 2>&1", $lines, $code);
    echo $code === 0 ? '' : implode("\n", $lines) . "\n", "benchmark done\n";
    // By hand, as people type it, in pieces.
    $client = new Client("tcp://$address");
    echo $client->send("PI")->send("NG\r\n")->line(), "\n", $client->send("QUIT\r\n")->rest();
});
?>
--EXPECT--
PONG
OK
"a b\n\xc3\xa9"
(nil)
(integer) 6
OK
(integer) 2
(integer) 2
(integer) 1
1) "other"
(error) ERR wrong number of arguments for 'GET'
(error) ERR unknown command 'NONSENSE'
(error) ERR too long
PONG
two
benchmark done
+PONG
+OK

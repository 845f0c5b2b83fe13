--TEST--
The MQTT broker and the clients of mosquitto
--SKIPIF--
<?php
foreach (['mosquitto_pub', 'mosquitto_sub'] as $tool) {
    if (shell_exec("command -v $tool") === null) {
        die("skip NOT CHECKED: there is no $tool (Debian: mosquitto-clients)");
    }
}
?>
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

/** Starts a tool; its output is read from what this returns. */
function tool(string $name, string $address, string ...$arguments): array
{
    [$host, $port] = explode(':', $address);
    $process = proc_open([$name, '-h', $host, '-p', $port, ...$arguments], [1 => ['pipe', 'w'], 2 => STDERR], $pipes);
    return [$process, $pipes[1]];
}

run_example('mqtt', 1, function (string $address) {
    // The broker's own numbers come each second, so whoever has those has subscribed.
    $subscribers = [
        tool('mosquitto_sub', $address, '-t', 'home/+/door', '-t', '$SYS/clients', '-v'),
        tool('mosquitto_sub', $address, '-t', 'home/#', '-t', '$SYS/clients', '-v'),
    ];
    foreach ($subscribers as [, $output]) {
        do {
            $line = fgets($output);
        } while ($line !== "\$SYS/clients 2\n");
    }
    foreach ([['-q', '0', 'home/hall/door', 'open'], ['-q', '1', 'home/hall', 'dark'], ['-q', '0', 'garden', 'wet'],
        ['-q', '1', 'home/hall/door', str_repeat('x', 40_000)], ['-q', '0', 'home/end', '.'], ['-q', '0', 'home/end/door', '.']] as [$q, $quality, $topic, $message]) {
        [$process] = tool('mosquitto_pub', $address, $q, $quality, '-t', $topic, '-m', $message);
        echo proc_close($process) === 0 ? '' : "mosquitto_pub failed\n";
    }
    foreach ($subscribers as $at => [$process, $output]) {
        do {
            [$topic, $message] = explode(' ', rtrim((string) fgets($output)), 2) + [1 => ''];
            echo str_starts_with($topic, '$SYS') ? '' : "$at $topic " . (strlen($message) > 99 ? strlen($message) : $message) . "\n";
        } while ($topic !== 'home/end/door' && $topic !== '');
        proc_terminate($process);
        proc_close($process);
    }

    // Bytes that are no MQTT, and a client that does not introduce itself, get no answer but the end.
    var_dump((new Client("tcp://$address"))->send("\xc0\0")->rest());
    var_dump((new Client("tcp://$address"))->send("\x10\xff\xff\xff\xff\xff")->rest());
});
?>
--EXPECT--
0 home/hall/door open
0 home/hall/door 40000
0 home/end/door .
1 home/hall/door open
1 home/hall dark
1 home/hall/door 40000
1 home/end .
1 home/end/door .
string(0) ""
string(0) ""

--TEST--
The collector counts datagrams over all workers
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

run_example('collector', 2, function (string $tcp, string $udp) {
    $reporter = new Client("udp://$udp");
    foreach (['visits', 'visits', 'bytes:500', 'nonsense'] as $report) {
        $reporter->send($report);
    }
    $client = new Client("tcp://$tcp");
    $ask = function () use ($client) {
        $client->send("?\n");
        for ($lines = []; ($line = $client->line()) !== '.';) {
            $lines[] = $line;
        }
        return implode(', ', $lines);
    };
    wait_until('all reports', fn () => $ask() === 'visits 2, errors 0, bytes 500, unknown 1');
    echo $ask(), "\n";
});
?>
--EXPECT--
visits 2, errors 0, bytes 500, unknown 1

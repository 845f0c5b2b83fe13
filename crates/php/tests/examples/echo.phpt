--TEST--
The instrument says where it listens, and echoes
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

foreach (['process', 'base'] as $mode) {
    run_example('echo', 1, function (string $address) {
        echo (new Client("tcp://$address"))->ask('hello'), "\n";
    }, "--mode=$mode", '--workers=1', '--reactors=1', '--set=max_connection=99');
}
?>
--EXPECT--
hello
hello

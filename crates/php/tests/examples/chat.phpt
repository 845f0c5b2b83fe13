--TEST--
The chat tells everybody
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

run_example('chat', 1, function (string $address) {
    $ada = new Client("tcp://$address");
    echo $ada->line(), "\n", $ada->ask('/name Ada'), "\n";
    $bob = new Client("tcp://$address");
    echo $bob->line(), "\n", $ada->line(), "\n";
    $ada->send("hello\n");
    echo $bob->line(), "\n";
    $ada->close();
    echo $bob->line(), "\n";
});
?>
--EXPECT--
welcome, you are number 1
you are Ada
welcome, you are number 2
2 has come
Ada: hello
Ada has left

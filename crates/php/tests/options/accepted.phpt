--TEST--
Every option of the reference is accepted, and those that have no effect yet say so
--FILE--
<?php
$server = new Swoole\Server('127.0.0.1', 0);
$warned = [];
set_error_handler(function (int $level, string $text) use (&$warned) {
    $warned[] = $text;
    return true;
});
$rows = file(__DIR__ . '/../../../../docs/php/OPTIONS.md');
foreach ((new ReflectionClass('Ostler\\Constant'))->getConstants() as $constant => $name) {
    if (!str_starts_with($constant, 'OPTION_')) {
        continue;
    }
    $warned = [];
    $row = current(preg_grep("/^\| `$name` /", $rows));
    $expected = str_contains($row, '**not yet**') ? ["Ostler\\Server::set(): the option [$name] has no effect yet in this version"] : [];
    if ($server->set([$name => 1]) !== true || $warned !== $expected) {
        echo "$name: ", implode(', ', $warned), "\n";
    }
}
echo "done\n";
?>
--EXPECT--
done

--TEST--
docs/php/OPTIONS.md has a row for each option, and no other
--FILE--
<?php
preg_match_all('/^\| `(\w+)` \|/m', file_get_contents(__DIR__ . '/../../../../docs/php/OPTIONS.md'), $found);
$known = array_filter(
    (new ReflectionClass('Ostler\\Constant'))->getConstants(),
    fn ($name) => str_starts_with($name, 'OPTION_'),
    ARRAY_FILTER_USE_KEY,
);
var_dump(array_diff($known, $found[1]), array_diff($found[1], $known));
?>
--EXPECT--
array(0) {
}
array(0) {
}

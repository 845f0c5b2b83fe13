--TEST--
swoole_strerror: each code of the reference has a text, and those of the resolvers of names have theirs
--FILE--
<?php
$codes = array_filter(get_defined_constants(true)['ostler'] ?? get_defined_constants(), fn ($name) => str_starts_with($name, 'SWOOLE_ERROR_'), ARRAY_FILTER_USE_KEY);
echo count($codes) > 55 ? "many\n" : count($codes) . "\n";
foreach ($codes as $name => $code) {
    if (str_starts_with(swoole_strerror($code), 'Unknown error') || swoole_strerror($code) !== swoole_strerror($code, SWOOLE_STRERROR_SWOOLE)) {
        echo "$name has no text\n";
    }
}
var_dump(count(array_unique(array_map('swoole_strerror', $codes))) === count(array_unique($codes)));
var_dump(swoole_strerror(-2, SWOOLE_STRERROR_GAI) !== swoole_strerror(-2), swoole_strerror(1, SWOOLE_STRERROR_DNS) !== swoole_strerror(1));
echo swoole_strerror(111), "\n";
var_dump(is_string(swoole_strerror(PHP_INT_MIN, SWOOLE_STRERROR_GAI)), is_string(swoole_strerror(PHP_INT_MAX, SWOOLE_STRERROR_DNS)), is_string(swoole_strerror(-1, 77)));
?>
--EXPECT--
many
bool(true)
bool(true)
bool(true)
Connection refused
bool(true)
bool(true)
bool(true)

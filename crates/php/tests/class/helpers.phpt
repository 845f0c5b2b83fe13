--TEST--
Functions that need no server: swoole_hashcode, swoole_substr_unserialize, swoole_substr_json_decode, swoole_get_local_ip, swoole_get_local_mac
--FILE--
<?php
foreach (['', 'hello', "\xff\x80 bytes"] as $text) {
    echo swoole_hashcode($text), ' ', swoole_hashcode($text, 1), "\n";
}
var_dump(swoole_hashcode('hello', 2));

$packed = 'head' . serialize(['a' => 1]) . 'tail';
var_dump(swoole_substr_unserialize($packed, 4, -1 + strlen($packed) - 7) === ['a' => 1]);
var_dump(swoole_substr_unserialize(serialize(new ArrayObject()), 0, 0, ['allowed_classes' => false])::class);
var_dump(swoole_substr_unserialize('xxi:7;', -4), swoole_substr_unserialize('', 0), swoole_substr_unserialize('i:7;', 4), swoole_substr_unserialize('i:7;', -5));
var_dump(swoole_substr_json_decode('##{"a":[1]}##', 2, 9)->a, swoole_substr_json_decode('##{"a":1}', 2, 0, true), swoole_substr_json_decode('[1]', 0, 99));
var_dump(swoole_substr_json_decode('x[[1]]', 1, 0, null, 1), json_last_error() === JSON_ERROR_DEPTH, swoole_substr_json_decode('[1]', PHP_INT_MAX), swoole_substr_json_decode('[1]', 1, PHP_INT_MAX));
try {
    swoole_substr_json_decode('{', 0, 0, flags: JSON_THROW_ON_ERROR);
} catch (JsonException $error) {
    echo get_class($error), "\n";
}
try {
    swoole_substr_unserialize('i:7;');
} catch (ArgumentCountError $error) {
    echo $error->getMessage(), "\n";
}

// What the system itself says of its interfaces.
$interfaces = array_map('basename', glob('/sys/class/net/*'));
$ips = swoole_get_local_ip();
var_dump(in_array('127.0.0.1', $ips, true), array_diff(array_keys($ips), $interfaces) === []);
foreach ($ips as $ip) {
    filter_var($ip, FILTER_VALIDATE_IP, FILTER_FLAG_IPV4) || print("$ip is none\n");
}
$addresses = swoole_get_local_mac();
foreach ($addresses as $interface => $address) {
    $told = trim(file_get_contents("/sys/class/net/$interface/address"));
    strtoupper($told) === $address || print("$interface has $told and not $address\n");
}
var_dump($addresses['lo'] ?? null);
?>
--EXPECT--
-9223372036854770427 0
-9223371826140139367 3372029979
-9215793117696130837 463153465
bool(false)
bool(true)
string(22) "__PHP_Incomplete_Class"
int(7)
bool(false)
bool(false)
bool(false)
array(1) {
  [0]=>
  int(1)
}
array(1) {
  ["a"]=>
  int(1)
}
array(1) {
  [0]=>
  int(1)
}
NULL
bool(true)
bool(false)
NULL
JsonException
swoole_substr_unserialize() expects at least 2 arguments, 1 given
bool(false)
bool(true)
string(17) "00:00:00:00:00:00"

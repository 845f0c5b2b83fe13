--TEST--
Programs that ask for the version are told which release of Swoole has this API, and OSTLER_VERSION is the own one
--FILE--
<?php
var_dump(swoole_version(), SWOOLE_VERSION === swoole_version(), version_compare(SWOOLE_VERSION, '6.2.0', '>='));
[$major, $minor, $release] = array_map('intval', explode('.', SWOOLE_VERSION));
var_dump([$major, $minor, $release] === [SWOOLE_MAJOR_VERSION, SWOOLE_MINOR_VERSION, SWOOLE_RELEASE_VERSION]);
var_dump(SWOOLE_VERSION_ID === $major * 10_000 + $minor * 100 + $release, SWOOLE_EXTRA_VERSION);
var_dump(preg_match('/^\d+\.\d+\.\d+/', OSTLER_VERSION));
?>
--EXPECT--
string(5) "6.2.1"
bool(true)
bool(true)
bool(true)
bool(true)
string(0) ""
int(1)

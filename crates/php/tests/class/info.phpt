--TEST--
php --ri ostler says the versions, the modes, the names, and what each option is
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

$info = function (string ...$settings): string {
    $process = proc_open([...own_php(), ...$settings, '--ri', 'ostler'], [1 => ['pipe', 'w']], $pipes);
    $text = stream_get_contents($pipes[1]);
    proc_close($process);
    return $text;
};
$text = $info();
foreach (explode("\n", $text) as $line) {
    preg_match('/^(API of Swoole|modes|ostler\.swoole_names|worker_num|max_idle_time|log_rotation|open_http_protocol|dispatch_mode)\b/', $line) && print("$line\n");
}
var_dump(str_contains($text, 'version => ' . OSTLER_VERSION), str_contains($text, 'docs/php/OPTIONS.md'));
foreach ((new ReflectionClass('Ostler\Constant'))->getConstants() as $name => $option) {
    if (str_starts_with($name, 'OPTION_') && !str_contains($text, "\n$option => ")) {
        echo "$option is not told\n";
    }
}
var_dump(str_contains($info('-d', 'ostler.swoole_names=0'), '=> own names only'));
?>
--EXPECT--
API of Swoole => 6.2.1
modes => PROCESS, BASE
ostler.swoole_names (php.ini, 0 or 1) => own names and those of Swoole
worker_num => workers of the engine
dispatch_mode => has its effect together with others
max_idle_time => idle_timeout_ms of the engine, from seconds
open_http_protocol => not yet: a warning
log_rotation => accepted, without effect
bool(true)
bool(true)
bool(true)

--TEST--
Functions: swoole_strerror, swoole_set_process_name, swoole_errno, swoole_clear_error
--FILE--
<?php
var_dump(swoole_strerror(1005), swoole_strerror(2), swoole_errno());
$server = new Swoole\Server('127.0.0.1', 0);
@$server->getSocket();
var_dump(swoole_errno(), swoole_last_error());
swoole_clear_error();
var_dump(swoole_errno());
var_dump(swoole_set_process_name('a new name'), str_starts_with(file_get_contents('/proc/self/cmdline'), 'a new name'));
try {
    swoole_strerror('no number');
} catch (TypeError $error) {
    echo $error->getMessage(), "\n";
}
?>
--EXPECT--
string(24) "there is no such session"
string(25) "No such file or directory"
int(0)
int(507)
int(507)
int(0)
bool(true)
bool(true)
swoole_strerror(): Argument #1 ($errno) must be of type int, string given

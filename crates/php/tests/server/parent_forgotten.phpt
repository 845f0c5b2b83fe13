--TEST--
A child that forgets the constructor of its parent
--FILE--
<?php
class Mine extends Swoole\Server
{
    public function __construct()
    {
    }
}
$server = new Mine();
foreach (['start', 'getMasterPid', 'shutdown'] as $method) {
    try {
        $server->$method();
    } catch (Error $error) {
        echo $error->getMessage(), "\n";
    }
}
?>
--EXPECT--
the server has no constructor behind it: call parent::__construct() first
the server has no constructor behind it: call parent::__construct() first
the server has no constructor behind it: call parent::__construct() first

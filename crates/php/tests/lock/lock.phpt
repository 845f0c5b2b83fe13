--TEST--
Lock: taken, not twice, given back
--FILE--
<?php
foreach ([SWOOLE_MUTEX, Swoole\Lock::SPINLOCK, SWOOLE_RWLOCK] as $type) {
    $lock = new Swoole\Lock($type);
    echo json_encode([$lock->lock(), $lock->trylock(), $lock->errCode, $lock->unlock(), $lock->unlock(), $lock->errCode]), "\n";
}
$lock = new Swoole\Lock;
echo json_encode([$lock->lock(LOCK_SH), $lock->lock(LOCK_SH | LOCK_NB), $lock->unlock(), $lock->trylock(), $lock->unlock(), $lock->trylock(), $lock->unlock()]), "\n";
echo json_encode([$lock->lock_read(), $lock->trylock_read(), $lock->unlock(), $lock->unlock(), $lock->unlock(), $lock->lockwait(), $lock->destroy()]), "\n";
?>
--EXPECT--
[true,false,35,true,false,1]
[true,false,35,true,false,1]
[true,false,35,true,false,1]
[true,true,true,false,true,true,true]
[true,true,true,true,false,true,null]

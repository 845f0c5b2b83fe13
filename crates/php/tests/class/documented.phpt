--TEST--
Tests that docs/php/TESTS.md names are there
--FILE--
<?php
$root = __DIR__ . '/../../../..';
preg_match_all('/`(?:crates\/php\/tests\/)?([a-z_]+\/[a-z0-9_]+\.phpt)`/', file_get_contents("$root/docs/php/TESTS.md"), $found);
foreach (array_unique($found[1]) as $test) {
    file_exists("$root/crates/php/tests/$test") || print("$test is not there\n");
}
echo count($found[1]) > 50 ? 'done' : 'too few', "\n";
?>
--EXPECT--
done

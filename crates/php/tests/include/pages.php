<?php
/** What the promises of memory are measured with; how much is asked for is said from outside, or little. */

declare(strict_types=1);

/** A number from outside (`make php-promises`), or what is enough for every day. */
function amount(string $name, int $usual): int
{
    return (int) (getenv($name) ?: $usual);
}

/** Pages of a process that are its own: neither files nor what is shared. The first look at itself takes some. */
function own_pages(int $pid): int
{
    preg_match('/^RssAnon:\s+(\d+) kB/m', file_get_contents("/proc/$pid/status"), $found);
    return intdiv((int) $found[1], 4);
}

/** What was measured, for the file that `make php-promises` shows in the end. */
function figure(string $line): void
{
    $file = getenv('OSTLER_FIGURES');
    $file && file_put_contents($file, "$line\n", FILE_APPEND | LOCK_EX);
}

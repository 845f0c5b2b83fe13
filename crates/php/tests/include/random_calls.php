<?php
/** Random methods of all classes with random arguments: whatever they answer, PHP must not crash. */

declare(strict_types=1);

/** What waits for others, ends this process, or changes what is not its own. */
const NEVER_CALLED = ['start', 'kill', 'exec', 'exit', 'daemon', 'wait', 'read', 'alarm', 'lock', 'lockwait', 'lock_read', 'command', 'setpriority',
    'setaffinity', 'shutdown', 'reload', 'stop', 'name', 'swoole_set_process_name', 'addprocess'];

class Unlike
{
    public function __toString(): string
    {
        return 'unlike';
    }

    public function __serialize(): array
    {
        return mt_rand(0, 1) ? [1] : throw new RuntimeException('not now');
    }
}

class Unconstructed extends Swoole\Server
{
    public function __construct() {}
}

/** A value of any kind. */
function random_value(array $known): mixed
{
    $itself = [1];
    $itself[] = &$itself;
    $cycle = new stdClass();
    $cycle->own = $cycle;
    $values = [...$known, 0, 1, -1, 3, 99, 65536, -65536, (1 << 32) - 1, 1 << 32, PHP_INT_MAX, PHP_INT_MIN, -0.5, 0.001, 1e300, NAN, -INF, true, false, null,
        '', '0', 'x', "a\0b", "\xff\xfe", str_repeat('k', 64), str_repeat('x', 9000), '127.0.0.1', '::1', '/tmp/none', '/dev/zero', __FILE__, 'receive', 'Task',
        [], [1, 2], ['number' => 1, 'text' => str_repeat('y', 300)], ['number' => 'x', 7 => []], ['worker_num' => []], ['package_eof' => ''], range(1, 30),
        $itself, $cycle, new Unlike(), fn () => 1, fn () => throw new Exception('x'), 'strlen', [new ArrayObject(), 'count'], STDIN];
    return $values[mt_rand(0, count($values) - 1)];
}

/** Objects of all classes, made well or badly. */
function random_objects(?Swoole\Server $server): array
{
    $table = new Swoole\Table(mt_rand(1, 20));
    $table->column('number', Swoole\Table::TYPE_INT);
    $table->column('text', Swoole\Table::TYPE_STRING, 10);
    mt_rand(0, 3) && $table->create();
    $objects = [$table, new Swoole\Process(fn () => 1), new Unconstructed()];
    foreach (['Atomic', 'Atomic\Long', 'Lock'] as $class) {
        try {
            $objects[] = new ("Swoole\\$class")();
        } catch (Swoole\Exception) {
            // Not in a worker.
        }
    }
    foreach (get_declared_classes() as $class) {
        if (str_starts_with($class, 'Ostler\\')) {
            try {
                $objects[] = (new ReflectionClass($class))->newInstanceWithoutConstructor();
            } catch (ReflectionException) {
                // Nobody makes one.
            }
        }
    }
    return $server === null ? $objects : [...$objects, $server, $server, $server, ...$server->ports, $server->connections];
}

/** One call, as strict code, as code that is not, in a Fiber, or with arguments that have names. */
function call_somehow(callable $callable, array $arguments): mixed
{
    return match (mt_rand(0, 7)) {
        0, 1, 2, 3 => $callable(...$arguments),
        // Functions of PHP call as code without strict_types does.
        4, 5 => call_user_func_array($callable, $arguments),
        6 => in_fiber(fn () => $callable(...$arguments)),
        7 => $callable(...array_combine(array_map(fn ($place) => ['data', 'fd', 'key', 'value', 'none'][$place], array_keys($arguments)), $arguments)),
    };
}

function in_fiber(callable $work): mixed
{
    $fiber = new Fiber($work);
    $fiber->start();
    return $fiber->isTerminated() ? $fiber->getReturn() : null;
}

/** What else programs do with objects. `$spared` keeps its properties, as the test needs them. */
function random_treatment(object $object, array $known, ?Swoole\Server $spared): void
{
    $properties = $object === $spared ? [] : array_keys(get_object_vars($object));
    $property = $properties[mt_rand(0, max(0, count($properties) - 1))] ?? null;
    match (mt_rand(0, 17)) {
        0 => clone $object,
        1 => serialize($object),
        2 => var_export($object, true),
        3 => json_encode($object),
        4 => print_r($object, true),
        5 => $object->__construct(),
        6 => array_map(function ($property) use ($object) {
            unset($object->$property);
        }, $object instanceof Swoole\Server ? [] : $properties),
        7 => $property === null ? null : $object->$property = random_value($known),
        8 => unserialize(sprintf('O:%d:"%s":0:{}', strlen($object::class), $object::class)),
        9 => unserialize(sprintf('O:%d:"%s":1:{s:4:"none";i:1;}', strlen($object::class), $object::class)),
        10 => $object == random_value($known),
        11 => $object[random_value($known)],
        12 => $object[random_value($known)] = random_value($known),
        13 => isset($object[random_value($known)]),
        14 => count($object),
        15 => (string) $object,
        16 => (array) $object,
        17 => array_walk($properties, function ($property) use ($object) {
            $reference = &$object->$property;
            $reference = null;
        }),
    };
}

/** One call, and at times something else that programs do with objects. */
function random_call(array $objects, array $known, ?Swoole\Server $spared): void
{
    static $functions = null;
    $functions ??= array_values(array_filter(get_defined_functions()['internal'], fn ($name) => str_starts_with($name, 'swoole_')));
    $object = $objects[mt_rand(0, count($objects) - 1)];
    try {
        if (mt_rand(0, 12) === 0) {
            random_treatment($object, [...$known, ...$objects], $spared);
            return;
        }
        $of = mt_rand(0, 15) === 0 ? 'Swoole\Timer' : $object;
        $methods = get_class_methods($of);
        $is_function = mt_rand(0, 9) === 0 || $methods === [];
        $names = $is_function ? $functions : $methods;
        $name = $names[mt_rand(0, count($names) - 1)];
        if (in_array(strtolower($name), NEVER_CALLED, true)) {
            return;
        }
        $arguments = [];
        for ($count = mt_rand(0, 4); $count > 0; --$count) {
            $arguments[] = random_value([...$known, ...$objects]);
        }
        if (in_array($name, ['taskwait', 'taskWaitMulti', 'taskCo'], true)) {
            $arguments = [$arguments[0] ?? [], 0.01];
        }
        $answer = call_somehow($is_function ? $name : [$of, $name], $arguments);
        if ($answer instanceof Traversable) {
            foreach ($answer as $one) {
                break;
            }
        }
    } catch (Throwable) {
        // That is an answer.
    }
}

/** Many of them. */
function random_calls(int $seed, int $count, ?Swoole\Server $server, array $known = [], array $objects = []): void
{
    mt_srand($seed);
    set_error_handler(fn () => true);
    $objects = [...$objects, ...random_objects($server)];
    for (; $count > 0; --$count) {
        random_call($objects, $known, $server);
    }
    restore_error_handler();
}

--TEST--
ostler.stub.php says what the extension declares
--FILE--
<?php
/** The classes of the stub under another name, so that PHP reads both. */
$stub = file_get_contents(__DIR__ . '/../../../../crates/php/ostler.stub.php');
$stub = preg_replace('/^<\?php/', '', str_replace(['namespace Ostler', 'namespace {', 'extends Exception'], ['namespace Stub\\Ostler', 'namespace Stub {', 'extends \\Stub\\Ostler\\Exception'], $stub));
eval(preg_replace('/\) {}/', ') { throw new \\Error(); }', str_replace('): void {}', '): void { }', $stub)));

function signature(ReflectionFunctionAbstract $function): string
{
    $parameters = array_map(fn ($one) => $one->getType() . ' ' . ($one->isVariadic() ? '...' : '') . '$' . $one->name
        . ($one->isOptional() && !$one->isVariadic() ? ' = ' . ($one->getDefaultValueConstantName() ?? var_export($one->getDefaultValue(), true)) : ''), $function->getParameters());
    return $function->getShortName() . '(' . implode(', ', $parameters) . '): ' . $function->getReturnType();
}

function describe(ReflectionClass $class): array
{
    $lines = [];
    foreach ($class->getMethods() as $method) {
        if ($method->class !== $class->name) {
            continue;
        }
        $lines[] = implode(' ', Reflection::getModifierNames($method->getModifiers())) . ' ' . signature($method);
    }
    foreach ($class->getProperties(ReflectionProperty::IS_PUBLIC) as $property) {
        if ($property->class === $class->name) {
            $lines[] = $property->getType() . " $$property->name = " . var_export($property->getDefaultValue(), true);
        }
    }
    $parent = $class->getParentClass();
    $lines[] = 'extends ' . ($parent ? str_replace('Stub\\', '', $parent->name) : '-');
    $interfaces = $class->getInterfaceNames();
    sort($interfaces);
    $lines[] = 'implements ' . implode(', ', $interfaces);
    return str_replace('Stub\\', '', $lines);
}
$own = array_filter(get_declared_classes(), fn ($name) => str_starts_with($name, 'Ostler\\'));
foreach ($own as $name) {
    if (!class_exists("Stub\\$name", false)) {
        echo "$name is not in the stub\n";
        continue;
    }
    $real = describe(new ReflectionClass($name));
    $said = describe(new ReflectionClass("Stub\\$name"));
    foreach (array_diff($real, $said) as $line) {
        echo "$name: the extension has $line\n";
    }
    foreach (array_diff($said, $real) as $line) {
        echo "$name: the stub has $line\n";
    }
}
echo count($own), " classes\n";

$functions = get_defined_functions();
$of = fn (array $names, string $prefix) => array_map(fn ($name) => signature(new ReflectionFunction($name)),
    array_filter($names, fn ($name) => str_starts_with(strtolower($name), $prefix)));
$real = $of($functions['internal'], 'swoole_');
$said = $of($functions['user'], 'stub\\swoole_');
foreach (array_diff($real, $said) as $line) {
    echo "the extension has $line\n";
}
foreach (array_diff($said, $real) as $line) {
    echo "the stub has $line\n";
}
echo count($real) > 15 ? "functions\n" : count($real);
?>
--EXPECT--
19 classes
functions

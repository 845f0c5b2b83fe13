--TEST--
dispatch_mode: which worker gets what (PROCESS mode)
--FILE--
<?php
require __DIR__ . '/../include/harness.php';

const WORKERS = 3;

/** Clients of new sessions. */
function clients(Swoole\Server $server, int $count): array
{
    return array_map(fn () => new Client(address_of($server->ports[0])), range(1, $count));
}

/** Which worker serves each of them. */
function served(array $clients): array
{
    return array_map(fn (Client $client) => (int) $client->ask('who'), $clients);
}

/** The packages of one session, one after another. */
function in_turn(Swoole\Server $server): string
{
    [$client] = clients($server, 1);
    wait_until('all workers', function () use ($client) {
        static $seen = [];
        $seen[$client->ask('who')] = true;
        return count($seen) === WORKERS;
    });
    // One that has not told yet that it has finished is passed over.
    $counts = array_count_values(served(array_fill(0, 60, $client)));
    return count($counts) === WORKERS && min($counts) >= 10 ? 'one worker after another' : json_encode($counts);
}

/** A session stays, others are elsewhere. */
function by_session(Swoole\Server $server): string
{
    $clients = clients($server, 6);
    $seen = served($clients);
    return served($clients) === $seen && count(array_unique($seen)) === WORKERS ? 'a worker for each session' : json_encode($seen);
}

/** All sessions of an address. */
function by_address(Swoole\Server $server): string
{
    $workers = [];
    for ($host = 2; $host < 12; $host++) {
        $seen = [];
        for ($session = 0; $session < 4; $session++) {
            $context = stream_context_create(['socket' => ['bindto' => "127.0.0.$host:0"]]);
            $client = stream_socket_client(address_of($server->ports[0]), $code, $text, PATIENCE_S, STREAM_CLIENT_CONNECT, $context);
            fwrite($client, "who\n");
            $seen[(int) fgets($client)] = true;
        }
        if (count($seen) > 1) {
            return "two workers for 127.0.0.$host";
        }
        $workers += $seen;
    }
    return count($workers) > 1 ? 'a worker for each address' : 'one worker for all';
}

/** All sessions of a user. */
function by_user(Swoole\Server $server): string
{
    $clients = clients($server, 12);
    foreach ($clients as $number => $client) {
        $client->ask('bind ' . ($number % 4 + 1));
    }
    $seen = served($clients);
    $expected = array_map(fn (int $number) => ($number % 4 + 1) % WORKERS, array_keys($clients));
    return $seen === $expected ? 'a worker for each user' : json_encode($seen);
}

/** While all workers but one are held. */
function around_the_busy(Swoole\Server $server): string
{
    // A session that comes before the others serve would stay with the first one.
    wait_until('all workers', fn () => substr_count(log_of($server), ' serves worker=') >= WORKERS);
    $held = clients($server, WORKERS - 1);
    array_map(fn (Client $client) => $client->ask('hold'), $held);
    [$clients, $seen] = [[], []];
    for ($session = 0; $session < 6; $session++) {
        [$clients[]] = $another = clients($server, 1);
        [$seen[]] = served($another);
    }
    touch($GLOBALS['go'], 1);
    array_map(fn (Client $client) => $client->line(), $held);
    $stay = served($clients) === $seen ? ', and stays' : '';
    return count(array_unique($seen)) === 1 ? "one that is idle$stay" : json_encode($seen);
}

$go = scratch_file();
$modes = [1 => 'in_turn', 2 => 'by_session', 3 => 'around_the_busy', 4 => 'by_address', 5 => 'by_user', 7 => 'around_the_busy',
    8 => 'around_the_busy', 9 => 'around_the_busy', 10 => 'around_the_busy', 99 => 'around_the_busy'];
foreach ($modes as $mode => $look) {
    touch($go, 0);
    $server = new Swoole\Server('127.0.0.1', 0, SWOOLE_PROCESS);
    $server->set(['worker_num' => WORKERS, 'dispatch_mode' => $mode, 'open_eof_split' => true, 'package_eof' => "\n"]);
    $server->on('receive', function (Swoole\Server $server, int $fd, int $reactor, string $data) use ($go) {
        [$word, $user] = explode(' ', trim($data)) + [1 => 0];
        $word === 'bind' && $server->bind($fd, (int) $user);
        $server->send($fd, "$server->worker_id\n");
        if ($word === 'hold') {
            wait_until('the word', fn () => clearstatcache() === null && filemtime($go) === 1);
            $server->send($fd, "let go\n");
        }
    });
    run($server, fn () => print("$mode: " . str_replace(', and stays', $mode === 8 ? ', and stays' : '', $look($server)) . "\n"));
}
?>
--EXPECT--
1: one worker after another
2: a worker for each session
3: one that is idle
4: a worker for each address
5: a worker for each user
7: one that is idle
8: one that is idle, and stays
9: one that is idle
10: one that is idle
99: one that is idle

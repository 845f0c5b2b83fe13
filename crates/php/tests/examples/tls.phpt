--TEST--
The TLS example answers on its plain and on its encrypted port
--EXTENSIONS--
openssl
--FILE--
<?php
require __DIR__ . '/../include/harness.php';
require __DIR__ . '/../include/certificates.php';

[$cert, $key] = certificate('localhost');
run_example('tls', 2, function (string $plain, string $encrypted) {
    $number = fn (string $address) => substr(strrchr($address, ':'), 1);
    $client = new Client("tcp://$plain");
    echo str_replace($number($plain), 'PLAIN', $client->ask('hello')), "\n";
    [$socket, $name] = tls_client("tcp://$encrypted", 'localhost');
    fwrite($socket, "hello\n");
    echo $name, ': ', str_replace($number($encrypted), 'TLS', fgets($socket));
    var_dump(stream_get_meta_data($socket)['crypto']['protocol']);
}, "--cert=$cert", "--key=$key");
?>
--EXPECT--
plain, port PLAIN: olleh
localhost: encrypted, port TLS: olleh
string(7) "TLSv1.3"

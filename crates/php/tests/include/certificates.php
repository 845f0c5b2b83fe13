<?php
/** Certificates for tests of TLS, made anew. */

/** Files of a certificate for these names and of its key; signed by itself, or by `$issuer` (its certificate and key). */
function certificate(string $name, ?array $issuer = null): array
{
    $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    $config = scratch_file();
    $is_authority = $issuer === null ? "basicConstraints=CA:TRUE\n" : '';
    file_put_contents($config, "[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectAltName=DNS:$name\n$is_authority");
    $options = ['config' => $config, 'digest_alg' => 'sha256', 'x509_extensions' => 'ext'];
    $request = openssl_csr_new(['commonName' => $name], $key, $options);
    [$authority, $authority_key] = $issuer === null ? [null, $key] : [file_get_contents($issuer[0]), file_get_contents($issuer[1])];
    $certificate = openssl_csr_sign($request, $authority, $authority_key, 30, $options, random_int(1, PHP_INT_MAX));
    $files = [scratch_file(), scratch_file()];
    openssl_x509_export_to_file($certificate, $files[0]);
    openssl_pkey_export_to_file($key, $files[1], null, $options);
    return $files;
}

/** A client of an encrypted port, and the name of the certificate that it was shown; null when there is no session. */
function tls_client(string $address, string $name, array $options = []): ?array
{
    $ssl = $options + ['verify_peer' => false, 'verify_peer_name' => false, 'peer_name' => $name, 'capture_peer_cert' => true];
    $context = stream_context_create(['ssl' => $ssl]);
    $socket = @stream_socket_client(str_replace('tcp://', 'ssl://', $address), $code, $text, PATIENCE_S, STREAM_CLIENT_CONNECT, $context);
    if ($socket === false) {
        return null;
    }
    stream_set_timeout($socket, (int) PATIENCE_S);
    $shown = openssl_x509_parse(stream_context_get_options($socket)['ssl']['peer_certificate']);
    return [$socket, $shown['subject']['CN']];
}

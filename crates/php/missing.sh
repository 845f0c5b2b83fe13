#!/usr/bin/env bash
# Says in one line what is missing to build and test the extension, and nothing when all of it is there.
set -euo pipefail
missing=()
command -v php >/dev/null || missing+=("php (php-cli)")
{ command -v php-config >/dev/null && [ -f "$(php-config --include-dir 2>/dev/null)/main/php.h" ]; } ||
    missing+=("the headers of PHP (php-dev)")
if [ -z "${LIBCLANG_PATH:-}" ] && ! compgen -G "/usr/lib/llvm-*/lib/libclang*.so*" >/dev/null &&
    ! compgen -G "/usr/lib*/libclang*.so*" >/dev/null && ! compgen -G "/usr/lib/*/libclang*.so*" >/dev/null; then
    missing+=("libclang (libclang-dev)")
fi
if [ "${#missing[@]}" -eq 0 ]; then
    [ "$(php -n -r 'echo PHP_ZTS;')" = 0 ] || missing+=("a PHP without ZTS")
fi
(IFS=,; echo "${missing[*]}" | sed 's/,/, /g')

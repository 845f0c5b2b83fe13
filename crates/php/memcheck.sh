#!/usr/bin/env bash
# Builds the extension with AddressSanitizer and runs its tests; the arguments are parts of them, for example `server`.
# PHP takes its memory from malloc meanwhile, so that what the extension does with it is watched, too. Each process of a
# server is watched. What is wrong is in target/php/memcheck-reports, and makes this fail.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
missing=$(crates/php/missing.sh)
cargo +nightly --version >/dev/null 2>&1 || missing+="${missing:+, }a nightly compiler (rustup toolchain install nightly)"
asan=$(gcc -print-file-name=libasan.so 2>/dev/null || true)
[ -f "$asan" ] || missing+="${missing:+, }gcc's libasan"
if [ -n "$missing" ]; then
    echo "make: NOT CHECKED: memory of the extension for PHP (there is no $missing)"
    exit 0
fi
target=$(rustc -vV | sed -n 's/^host: //p')
(
    cd crates/php
    RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes ${RUSTFLAGS:-}" CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 CARGO_PROFILE_RELEASE_INCREMENTAL=true \
        cargo +nightly build --release --target "$target" --target-dir "$root/target/php-asan"
)
out=$root/target/php
reports=$out/memcheck-reports
rm -rf "$reports" "$out/memcheck-tests"
mkdir -p "$reports" "$out/memcheck"
cp "$root/target/php-asan/$target/release/libostler.so" "$out/memcheck/ostler.so"
cp -r crates/php/tests "$out/memcheck-tests"
# AddressSanitizer refuses libraries that have names of their own (RTLD_DEEPBIND), and PHP loads all extensions so.
gcc -shared -fPIC -o "$out/memcheck/deepbind.so" -x c - <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
void *dlopen(const char *file, int flags) {
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return next(file, flags & ~RTLD_DEEPBIND);
}
C
# Signals stay those of PHP and of the engine, which their tests are about. What is not freed is found by the tests that
# count pages.
options="detect_leaks=0:handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:use_sigaltstack=0"
options+=":detect_stack_use_after_return=0:verify_asan_link_order=0:log_path=$reports/report"
cat >"$out/memcheck/php" <<PHP
#!/usr/bin/env bash
export LD_PRELOAD="$out/memcheck/deepbind.so $(readlink -f "$asan")" USE_ZEND_ALLOC=0 ASAN_OPTIONS="$options"
exec "$(command -v php)" "\$@"
PHP
chmod +x "$out/memcheck/php"
tests=()
for part in "${@:-}"; do
    tests+=("$out/memcheck-tests/$part")
done
status=0
NO_INTERACTION=1 TEST_TIMEOUT=240 php -n "$(crates/php/run-tests.sh)" -p "$out/memcheck/php" -q -n \
    -d extension="$out/memcheck/ostler.so" -j2 --offline --show-diff "${tests[@]}" || status=$?
if compgen -G "$reports/*" >/dev/null; then
    echo "memcheck: errors of memory:" >&2
    cat "$reports"/* >&2
    exit 1
fi
echo "memcheck: no error of memory"
exit "$status"

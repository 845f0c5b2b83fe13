#!/usr/bin/env bash
# Says where the test runner is that comes with PHP's headers.
set -euo pipefail
for place in "$(php-config --extension-dir)/build" "$(php-config --prefix)/lib/php/build" \
    "$(php-config --prefix)/lib/php/$(php-config --phpapi)/build"; do
    if [ -f "$place/run-tests.php" ]; then
        echo "$place/run-tests.php"
        exit 0
    fi
done
echo "run-tests.php is missing: it comes with php-dev" >&2
exit 1

#!/usr/bin/env bash
# Ignores one option after the other, and says of which no test notices that (make ignored-options; a quarter of an hour).
#
# It is done to a copy of the tree, target/ignored: `Options::set` there reads the name of the option that it ignores from
# a file, so that one build is enough. The tests are those that crates/ostler/tests/process_options names in `EFFECTS`.
# OPTIONS="name ..." is a part of them. Most of them wait in vain for something then, and so they wait shorter there.
set -euo pipefail
cd "$(dirname "$0")/../../.."
copy=$PWD/target/ignored
rm -rf "$copy/crates"
mkdir -p "$copy"
git ls-files -z --cached | xargs -0 cp --parents --preserve=timestamps -t "$copy"
cd "$copy"
sed -i 's|^    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {$|&\
        let ignored = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ignored"));\
        if ignored.is_ok_and(\|ignored\| name.rsplit(\x27.\x27).next() == Some(ignored.trim())) {\
            return Ok(());\
        }|' crates/ostler/src/options/mod.rs
sed -i 's|DEADLINE: Duration = Duration::from_secs(30)|DEADLINE: Duration = Duration::from_secs(5)|' crates/testkit/src/wait.rs
grep -q '"/ignored"' crates/ostler/src/options/mod.rs || { echo "ignored-options: Options::set is not what it was" >&2; exit 1; }
grep -q 'from_secs(5)' crates/testkit/src/wait.rs || { echo "ignored-options: DEADLINE is not what it was" >&2; exit 1; }

cargo build --quiet -p ostler -p ostler-echo --examples --bins
binary=$(cargo test -p ostler --test process_options --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
binary=$PWD/$binary
cd crates/ostler

noticed=() unnoticed=()
names=$(for file in tests/process_options/*.rs; do
    sed -n '/const EFFECTS/,/^];/p' "$file" | tr -d ' \n' | grep -oE '\("[a-z_0-9]+",[a-z_0-9:]+,?\)' |
        sed -E "s|^\(\"(.*)\",([^,)]*),?\)$|\1 $(basename "$file" .rs)::\2|" || true
done | grep -v '::[a-z_]*::EFFECTS' | sort)
for name in $(cut -d' ' -f1 <<<"$names" | uniq); do
    if [ -n "${OPTIONS:-}" ] && [[ " $OPTIONS " != *" $name "* ]]; then continue; fi
    echo "$name" >ignored
    by=
    for test in $(sed -n "s/^$name //p" <<<"$names"); do
        output=$(timeout 150 "$binary" --exact "$test" 2>&1) && continue
        # One that does not exist notices nothing.
        if grep -q '^running 1 test' <<<"$output"; then by=$test; break; fi
    done
    if [ -n "$by" ]; then noticed+=("$name"); else unnoticed+=("$name"); fi
    echo "$name: ${by:-NOBODY}"
done
rm -f ignored
echo "ignored-options: ${#noticed[@]} are noticed, not noticed are ${#unnoticed[@]}: ${unnoticed[*]}"
[ "${#unnoticed[@]}" -eq 0 ] && [ "${#noticed[@]}" -gt 0 ]

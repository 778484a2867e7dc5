#!/bin/sh
# Rebuilds web/static/vendor/ from the npm package: a plain concatenation, no build step.
# Usage: scripts/vendor.sh [VERSION]      then run the tests and commit the result.
#
# One file, not two: loaded as a second deferred script, the extension may register after
# htmx has processed the page, and the live stream then silently never opens.
set -eu

version=${1:-4.0.1}
target=$(cd "$(dirname "$0")/../web/static/vendor" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "htmx.org@$version" >/dev/null
tar -xzf htmx.org-*.tgz
core=package/dist/htmx.min.js
sse=package/dist/ext/hx-sse.min.js
bundle=htmx-$version-sse.min.js

{ cat "$core"; echo; cat "$sse"; } >"$bundle"
rm -f "$target"/htmx-*-sse.min.js
cp "$bundle" "$target/$bundle"
cp package/LICENSE "$target/LICENSE-htmx"
sum() { sha256sum "$1" | cut -d' ' -f1; }
cat >"$target/VENDORED.md" <<NOTE
# Vendored files

Made by \`scripts/vendor.sh $version\`; do not edit. \`$bundle\` is the first
file of the package, a newline, and the second.

| file | package | licence | sha256 |
| --- | --- | --- | --- |
| \`$bundle\` | both below | 0BSD | \`$(sum "$bundle")\` |
| dist/htmx.min.js | htmx.org $version | 0BSD | \`$(sum "$core")\` |
| dist/ext/hx-sse.min.js | htmx.org $version | 0BSD | \`$(sum "$sse")\` |

The licence text is in \`LICENSE-htmx\`.

The fonts in \`../fonts/\` are Geist and Geist Mono (latin, variable weight) of the packages
@fontsource-variable/geist 5.3.0 and @fontsource-variable/geist-mono 5.3.0, licence OFL-1.1,
text in \`../fonts/OFL.txt\`.

| file | sha256 |
| --- | --- |
| \`../fonts/geist.woff2\` | \`$(sum "$target/../fonts/geist.woff2")\` |
| \`../fonts/geist-mono.woff2\` | \`$(sum "$target/../fonts/geist-mono.woff2")\` |
NOTE
echo "$bundle: $(wc -c <"$bundle") bytes"

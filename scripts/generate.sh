#!/usr/bin/env bash
# Write what is generated: from the config classes the JSON Schema and the reference page, and
# from the newest result of perf/compare.py the README's table.
#
# Uses .venv, or the interpreter in $PYTHON. A test fails when the files are not current.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"
cd "$root"

if [ -z "${PYTHON-}" ]; then
  prepare_venv requirements.txt
  PYTHON=$venv/bin/python
fi
write() { # write FILE WHAT
  "$PYTHON" -m multiproxy config "$2" >"$1.new" && mv "$1.new" "$1"
}
write multiproxy/config/config.schema.json schema
write docs/configuration.md reference
"$PYTHON" perf/summary.py

#!/usr/bin/env bash
# Run every check: ruff, mypy, and the tests. Arguments go to pytest: ./test.sh tests/routing -k alias
#
# All checks run even when one fails; the last lines say which did.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/venv.sh"
source "$root/scripts/node.sh"
cd "$root"

prepare_venv requirements.txt requirements-test.txt
prepare_node

summary='' status=0
run() { # run NAME COMMAND...
  local name=$1 began=$SECONDS verdict=ok
  shift
  say "== $name"
  "$@" || { verdict="FAILED ($?)" status=1; }
  summary="$summary$(printf '  %-12s %-12s %4d s' "$name" "$verdict" $((SECONDS - began)))"$'\n'
}

# The tests start hundreds of Python processes; none should compile what another one did.
unset PYTHONDONTWRITEBYTECODE

run 'ruff check' "$venv/bin/ruff" check
run 'ruff format' "$venv/bin/ruff" format --check
run 'mypy' "$venv/bin/mypy"
run 'pytest' "$venv/bin/python" -m pytest "$@"

printf '\n%s' "$summary"
exit "$status"

#!/usr/bin/env bash
# Start MultiProxy on a machine that has only Python 3.11 or newer.
#
#   ./start.sh                     serve with the config.yaml beside this script
#   ./start.sh -c my.yaml          arguments go to `multiproxy serve`
#   ./start.sh check               a first word without a dash is another multiproxy command
#
# The first start makes .venv; later ones touch the network only when a requirement changed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/venv.sh"

prepare_venv requirements.txt

# config.yaml is looked for beside this script, but a file that the caller names is the caller's.
folder=$root
for argument in "$@"; do
  case $argument in -c* | --config*) folder=$PWD ;; esac
  if [ -f "$argument" ]; then folder=$PWD; fi
done
cd "$folder"

# exec: signals reach MultiProxy itself, and its exit code is this script's.
case ${1-} in
  --version) exec "$venv/bin/multiproxy" --version ;;
  '' | -*) exec "$venv/bin/multiproxy" serve "$@" ;;
  *) exec "$venv/bin/multiproxy" "$@" ;;
esac

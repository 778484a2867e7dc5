# shellcheck shell=bash
# The Node SDKs that tests use: tests/node/node_modules has what its lock file pins.
#
# Sourced by test.sh, after venv.sh. Without npm, or without a network, the tests that need them
# are skipped and say why; with MULTIPROXY_SKIP_NOTHING, as on the build machine, they fail.

node_folder=$root/tests/node

# What makes an installation a different one.
node_state() { printf '%s %s\n' "$(node --version)" "$(cksum <"$node_folder/package-lock.json")"; }

# Install if need be.
prepare_node() {
  local marker=$node_folder/node_modules/installed-for state
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "Tests with the Node SDKs are skipped: there is no npm (Debian: apt install nodejs npm)"
    return 0
  fi
  state=$(node_state)
  if [ "$(cat "$marker" 2>/dev/null)" = "$state" ]; then return 0; fi
  say "Installing tests/node"
  if npm ci --prefix "$node_folder" --ignore-scripts --no-audit --no-fund --loglevel=error >&2; then
    printf '%s\n' "$state" >"$marker"
  else
    say "Tests with the Node SDKs are skipped: npm could not install them"
  fi
}

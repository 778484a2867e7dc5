# shellcheck shell=bash
# What start.sh and test.sh share: a .venv beside them that has what the requirement files pin.
#
# Sourced, not run; bash 3.2 (macOS) is enough. When nothing changed it costs one short run of
# Python and no network. A set-up that was interrupted leaves its marker behind and is started
# over from nothing, because pip takes half a package for a whole one.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }
has_uv() { command -v uv >/dev/null 2>&1; }

# Set `python` to the newest interpreter that can make an environment; `rejected` has a line for
# each other one. Each is tried by running it: a pyenv shim may have no Python behind it.
find_python() {
  local name path version
  python='' rejected=''
  for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
    while IFS= read -r path; do
      version=$("$path" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
      if ! "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        rejected="$rejected  $path is Python $version"$'\n'
      elif ! has_uv && ! "$path" -c 'import venv, ensurepip' 2>/dev/null; then
        rejected="$rejected  $path is Python $version without venv (Debian: apt install python3-venv)"$'\n'
      else
        python=$("$path" -c 'import sys; print(sys.executable)')
        return 0
      fi
    done < <(type -ap "$name")
  done
  return 1
}

make_venv() {
  if ! find_python; then
    if ! has_uv; then
      say "MultiProxy needs Python 3.11 or newer. Found on PATH:"
      printf '%s' "${rejected:-  no Python at all$'\n'}" >&2
      return 1
    fi
    python='>=3.11' # uv knows of more interpreters than PATH does, and can fetch one
  fi
  say "Making .venv with $python"
  rm -rf "$venv"
  if has_uv; then
    uv venv --quiet --seed --python "$python" "$venv" || return 1 # with pip, should uv go away
  else
    "$python" -m venv "$venv" || return 1
  fi
  printf '%s\n' "$root" >"$venv/made-for"
}

# Its scripts name the folder they were made in, so an environment that was moved is as broken
# as one whose Python was removed. Prints the Python's version.
venv_version() {
  [ ! -e "$venv/installing" ] && [ "$(cat "$venv/made-for" 2>/dev/null)" = "$root" ] &&
    "$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null
}

install() {
  if has_uv; then
    uv pip install --quiet --python "$venv/bin/python" "$@"
  else
    # Compiled when imported: most modules of the test clients never are.
    "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"
  fi
}

# state_of VERSION FILE: what makes an installation of that file a different one.
state_of() { printf '%s %s\n' "$1" "$(cat "$root/$2" "$root/pyproject.toml" | cksum)"; }

# prepare_venv FILE...: return when .venv has what these requirement files pin, and multiproxy.
prepare_venv() {
  local file version stale='' pins=()
  if ! version=$(venv_version); then
    make_venv && version=$(venv_version) || return 1
  fi
  for file in "$@"; do
    if [ "$(cat "$venv/$file.installed" 2>/dev/null)" != "$(state_of "$version" "$file")" ]; then
      stale="$stale $file"
    fi
    pins+=(-r "$root/$file")
  done
  if [ -z "$stale" ]; then return 0; fi
  say "Installing$stale"
  : >"$venv/installing"
  install "${pins[@]}" && install --no-deps --editable "$root" || return 1
  for file in "$@"; do
    state_of "$version" "$file" >"$venv/$file.installed"
  done
  rm "$venv/installing"
}

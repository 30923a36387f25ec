#!/usr/bin/env bash
# Makes .venv ready to use: `scripts/setup.sh demo` for a first look, `scripts/setup.sh test` for everything.
#
# Needs Python 3.11-3.13 and a package index; uses uv where it finds it and otherwise installs it into .venv.
# The marker is written last, so a set-up that was interrupted is done again, and one that is complete costs nothing.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly profile=${1:-test}
readonly marker=.venv/.jeyn-ready
# Of the files that say what is installed, so a changed dependency is noticed.
key=$(cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)
readonly key
python=${PYTHON:-}
version=
packages=

say() { printf 'set-up: %s\n' "$*" >&2; }
stop() { say "$@"; exit 1; }

check_links() {
  local room
  for room in sdk stores workflows deploy components; do
    [ -d "jeyn/$room" ] || stop "\"jeyn/$room\" is not a folder: this checkout was made without symbolic links." \
      "Clone it again with: git clone -c core.symlinks=true URL"
  done
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

supported() { case $1 in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac; }

choose_python() {
  local candidate seen=
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    version=$(version_of "$candidate") || continue
    python=$candidate
    supported "$version" && return
    seen=${seen:-"\"$candidate\" is Python $version"}
  done
  stop "Jeyn needs Python 3.11, 3.12 or 3.13, and ${seen:-"\"${PYTHON:-python3}\" does not run"}." \
    "Install one of them, or name one: make ${MAKE_GOAL:-test} PYTHON=/path/to/python3.12"
}

# The marker's lines: where and for which Python .venv was made, what was installed, for which profile, and how long it
# took with packages from where.
place() { printf '%s %s\n' "$PWD" "$(version_of .venv/bin/python)"; }

marked() { [ -f "$marker" ] && sed -n "$1p" "$marker"; }

usable() {
  [ -f "$marker" ] && [ -x .venv/bin/python ] && [ "$(marked 1)" = "$(place)" ] || return 1
  [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of .venv/bin/python)" ]
}

ready() {
  usable && [ "$(marked 2)" = "$key" ] || return 1
  [ "$(marked 3)" = "$profile" ] || [ "$(marked 3)" = test ]
}

suitable_uv() { "$1" pip install --help 2>/dev/null | grep -q -- '--group'; }

find_uv() {
  local candidate
  for candidate in .venv/bin/uv uv; do
    suitable_uv "$candidate" && uv=$candidate && return
  done
  return 1
}

install_python_venv() {
  local command="apt-get install -y python$version-venv"
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
    stop "\"$python\" cannot make a virtual environment. Run this as root and try again: $command"
  say "\"$python\" cannot make a virtual environment: installing python$version-venv"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >&2 || say "apt-get update failed; going on with the package lists at hand"
  $command >&2 || stop "\"$command\" failed: see the lines above."
}

python_venv() { "$python" -m venv --clear .venv >&2; }

make_venv() {
  rm -rf .venv
  if find_uv; then
    UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --seed --python "$(command -v "$python")" .venv
  elif ! python_venv; then
    install_python_venv
    python_venv || stop "\"$python -m venv .venv\" fails: see the lines above."
  fi
}

install_packages() {
  local -a what=(-e '.[sklearn]')
  [ "$profile" = demo ] || what=(-e '.[all]' --group dev)
  find_uv || { .venv/bin/python -m pip install --quiet uv && uv=.venv/bin/uv; }
  # uv ignores pip's settings, and on many machines only those know where packages are.
  eval "$(.venv/bin/python scripts/pip_settings.py)"
  what=(--python .venv/bin/python --compile-bytecode --constraint constraints.txt "${what[@]}")
  # From uv's cache alone first: that is quicker, needs no network, and says whether this set-up was a warm one.
  packages="from the cache"
  "$uv" pip install --offline --quiet "${what[@]}" 2>/dev/null && return
  packages="fetched"
  "$uv" pip install "${what[@]}"
}

set_up() {
  ready && return
  if ! usable; then
    choose_python
    say "making .venv with \"$python\" (Python $version)"
    make_venv
  fi
  rm -f "$marker"
  say "installing what \"make $profile\" needs"
  install_packages
  .venv/bin/python -c 'import jeyn' || stop '"import jeyn" fails in .venv.'
  printf '%s\n' "$(place)" "$key" "$profile" "$SECONDS s with packages $packages" >"$marker.new"
  mv "$marker.new" "$marker"
}

case $profile in demo | test) ;; *) stop "the profile is \"demo\" or \"test\", not \"$profile\"." ;; esac
check_links
# Two at once: the second waits, then finds the work done.
if command -v flock >/dev/null; then
  exec 9>.venv.lock
  flock 9
fi
set_up

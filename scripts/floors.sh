#!/usr/bin/env bash
# Runs tests with the oldest version of each dependency that pyproject.toml allows, in a virtual environment of its own,
# .venv-floors: those that call the dependencies (all of them: FLOOR_TESTS=tests make test-floors). What passed is noted
# in floors.txt, by which `.ci/run` knows whether floors changed since.
#
# `scripts/floors.sh changed` only says by its status whether they did: 0 for yes.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv-floors
readonly note=floors.txt
# Each dependency is called in one of these; all the tests would take as long as make test once more.
readonly callers="tests/sdk tests/stores/payloads tests/stores/serializers tests/stores/sources
  tests/stores/test_migrations.py tests/stores/test_search.py tests/workflows/argo/test_compile.py
  tests/cli/test_output.py tests/test_project_file.py tests/test_floors.py"

# The last commit too, where it is not all there is: a machine that tests each commit then runs them itself.
changed() {
  [ "$(.venv/bin/python scripts/floors.py --digest)" = "$(tail -n 1 "$note" 2>/dev/null)" ] || return 0
  git rev-parse --quiet --verify HEAD~1 >/dev/null 2>&1 && ! git diff --quiet HEAD~1 HEAD -- "$note"
}

install() {
  local uv=.venv/bin/uv floors
  [ -x "$uv" ] || uv=uv
  eval "$(.venv/bin/python scripts/pip_settings.py)"
  UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --clear --seed --python "$(realpath .venv/bin/python)" "$venv"
  floors=$(mktemp)
  .venv/bin/python scripts/floors.py >"$floors"
  "$uv" pip install --python "$venv/bin/python" --constraint "$floors" -e '.[all]' --group dev
  rm -f "$floors"
}

if [ "${1:-}" = changed ]; then
  changed
  exit
fi
install
# shellcheck disable=SC2086  # several paths
"$venv/bin/python" -m pytest -n 2 --dist loadfile -m "not long and not cluster" ${FLOOR_TESTS:-$callers}
{
  echo "# The floors of pyproject.toml with which the tests passed, as a digest. Written by: make test-floors"
  .venv/bin/python scripts/floors.py --digest
} >"$note"

#!/usr/bin/env bash
# Renews constraints.txt: the newest versions that pyproject.toml allows, for every supported Python, without addresses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv
eval "$(.venv/bin/python scripts/pip_settings.py)"
{
  head -n 1 constraints.txt
  "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml
} >constraints.new
mv constraints.new constraints.txt

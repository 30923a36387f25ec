#!/usr/bin/env bash
# Sets up, runs examples/digits and shows where its blessed model comes from: what `make demo` does.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }
now() { date +%s%3N; }
bold() { if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }

# Shown as it is typed, then done.
typed() {
  bold "\$ $*"
  "$@"
}

began=$(now)
MAKE_GOAL=demo scripts/setup.sh demo
ready=$(now)
# What the marker keeps of the set-up that was really done: how long it took, with packages from where.
made=$(sed -n 4p .venv/.jeyn-ready)
PATH=$PWD/.venv/bin:$PATH

typed cd examples/digits
typed python arrive.py
typed jeyn run pipeline.py
typed jeyn lineage digit-reader@blessed

printf '\nThis took %s, of which set-up %s' "$(seconds $(($(now) - began)))" "$(seconds $((ready - began)))"
printf ' (.venv was made in %s).\n' "$made"
cat <<'NEXT'

Go on in this shell:
  source .venv/bin/activate && cd examples/digits
  jeyn run pipeline.py                           again: what is there already is not made twice
  python arrive.py 2 && jeyn run pipeline.py     another day: one new batch, a better model
  echo oops > data/bad.parquet                   break it: then jeyn plan pipeline.py, and jeyn run pipeline.py
  rm data/bad.parquet && jeyn run --resume last  mend it, and go on
  jeyn lineage digit-reader@blessed --plot lineage.svg
  jeyn runs, jeyn ls, jeyn --help
NEXT

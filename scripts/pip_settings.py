"""Prints pip's configured index, links, certificate and proxy as shell exports that uv understands.

uv ignores pip's files and variables (https://docs.astral.sh/uv/pip/compatibility/), and a machine behind a mirror
often has only those. What the caller set for uv itself wins. Used by setup.sh; needs the standard library only.
"""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

# pip's option, uv's variables, and the separator that uv wants between several values.
TRANSLATION = (
    ("index-url", ("UV_DEFAULT_INDEX",), " "),
    ("extra-index-url", ("UV_INDEX",), " "),
    ("find-links", ("UV_FIND_LINKS",), ","),
    ("trusted-host", ("UV_INSECURE_HOST",), " "),
    ("cert", ("SSL_CERT_FILE",), " "),
    ("proxy", ("HTTPS_PROXY", "HTTP_PROXY"), " "),
    ("default-timeout", ("UV_HTTP_TIMEOUT",), " "),
    ("timeout", ("UV_HTTP_TIMEOUT",), " "),
)
# Later sections win, as in pip.
SECTIONS = ("global", "install", ":env:")


def parse(listing: str) -> dict[str, str]:
    """What `pip config list` printed, as option -> value."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        key, separator, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if separator and section in found:
            found[section][option.removeprefix(".")] = str(ast.literal_eval(value))
    return {option: value for section in SECTIONS for option, value in found[section].items()}


def uv_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables uv needs for `settings`, without those that `environment` has already."""
    wanted: dict[str, str] = {}
    for option, names, separator in TRANSLATION:
        values = settings.get(option, "").split()
        for name in names if values else ():
            wanted[name] = separator.join(values)
    return {name: value for name, value in wanted.items() if not environment.get(name)}


def pip_config() -> str:
    """`pip config list`, or nothing where there is no pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def main() -> None:
    for name, value in uv_environment(parse(pip_config()), os.environ).items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()

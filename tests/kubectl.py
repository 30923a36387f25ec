"""A `kubectl` that keeps its objects in a folder: what the command line says of deployments is tried without a cluster.

It knows the calls that Jeyn makes, and no more. The tests marked `cluster` make them of a real one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "objects"  # of the copy that is installed
SERVER = "https://cluster.test:6443"
Manifest = dict[str, Any]


def install(bin: Path) -> None:
    """Put it into a folder as the program `kubectl`."""
    (bin / "objects").mkdir(parents=True)
    (bin / "kubectl").write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}")
    (bin / "kubectl").chmod(0o755)


def main(words: list[str]) -> None:
    verb, *names = [word for word in words if not word.startswith("--")]
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--"))
    if verb == "config":
        print(SERVER)
    elif verb == "version":
        print(json.dumps({"serverVersion": {"major": "1", "minor": "34+"}}))
    elif verb == "delete":
        place(names[0], names[1]).unlink()
    elif "filename" in options:
        answer(verb, json.load(sys.stdin)["items"], "dry-run" in options)
    elif verb == "patch":
        merged = json.loads(place(*names).read_text())
        merged["spec"].update(json.loads(options["patch"])["spec"])
        show([store(merged)])
    elif names[0] == "secret":
        refuse("Forbidden", "secrets is forbidden")
    else:
        kept = place(*names) if len(names) > 1 else None
        found = [kept] if kept else sorted(FOLDER.glob(f"{singular(names[0])}-*"))
        show([each for each in map(read, found) if each and has(each, options.get("selector", ""))])


def read(kept: Path) -> Manifest | None:
    return json.loads(kept.read_text()) if kept.exists() else None


def has(item: Manifest, selector: str) -> bool:
    labels = [f"{key}={value}" for key, value in item["metadata"].get("labels", {}).items()]
    return not selector or set(selector.split(",")) <= set(labels)


def answer(verb: str, items: list[Manifest], is_dry: bool) -> None:
    """apply, get or create of what is on stdin."""
    if verb == "create":
        show([{**item, "status": {"allowed": True}} for item in items])
        return
    if any(item["metadata"]["namespace"] == "nowhere" for item in items) and verb == "apply":
        refuse("NotFound", 'namespaces "nowhere" not found')
    places = [place(item["kind"], item["metadata"]["name"]) for item in items]
    if verb == "get":
        show([json.loads(each.read_text()) for each in places if each.exists()])
    else:
        show([item if is_dry else store(item) for item in items])


def store(item: Manifest) -> Manifest:
    kept = {**item, "metadata": {**item["metadata"], "uid": "1", "managedFields": []}}
    place(item["kind"], item["metadata"]["name"]).write_text(json.dumps(kept))
    return kept


def place(kind: str, name: str) -> Path:
    return FOLDER / f"{singular(kind)}-{name}"


def singular(kind: str) -> str:
    return kind.partition(".")[0].lower().removesuffix("s")


def show(items: list[Manifest]) -> None:
    print(json.dumps({"kind": "List", "items": items}) if len(items) != 1 else json.dumps(items[0]))


def refuse(reason: str, message: str) -> None:
    sys.exit(f"Error from server ({reason}): {message}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""What `fsck` found: faults of each kind, what to do about them, and whether this run mended them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# kind -> what to do about it
KINDS = {
    "missing": "fsck(repair=True) brings it back from its source, or gives it up as lost; or save or import it again",
    "found": "fsck(repair=True) undoes that it was given up as lost",
    "corrupt": "restore the payload from a copy, or save or import the artefact again",
    "wrong_time": "fsck(repair=True) moves them back together, and records it",
    "stale_condemnation": "fsck(repair=True) takes it away; what saves these bytes waits for it for a while",
    "unreadable": "give Jeyn the right to read it, or the disk its health; then fsck again",
    "orphaned": "fsck(repair=True) removes it, and so does gc() in time",
    "lost_edge": "fsck(repair=True) puts it back from the document",
    "lost_parent": "import the parent from a bundle that has it",
    "lost_payload_row": "fsck(repair=True) puts it back from the document",
    "wrong_payload_row": "restore the catalog from a copy: this row was changed",
    "wrong_id": "restore the catalog from a copy: this document was changed; or fsck(repair=True) buries it",
    "damaged": "restore the catalog from a copy; or fsck(repair=True) buries it: the row stays, with a tombstone",
    "wrong_row": "restore the catalog from a copy: this row was changed",
    "dangling_edge": "import the artefact that is gone from a bundle, or restore the catalog from a copy",
    "dangling_claim": "restore the catalog from a copy",
    "dangling_alias": "move the alias to what it should mean, or restore the catalog from a copy",
    "dangling_row": "restore the catalog from a copy",
    "lost_trigger": "fsck(repair=True) creates it again; see what else was found, for anything may have been changed",
}
KEPT = 1000


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the kind, what it is about, why, what to do, and whether this run mended it, and how."""

    kind: str
    subject: str
    problem: str
    hint: str
    repaired: bool = False
    how: str = ""


@dataclass
class Findings:
    """All that was found. `counts` is complete; of each kind the first thousand faults are kept."""

    counts: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    payloads: int = 0
    artefacts: int = 0
    buried: int = 0  # rows that cannot be read and have a tombstone already

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong, repaired or not."""
        return not self.counts

    @property
    def left(self) -> int:
        """How many faults this run did not mend."""
        return self.counts.total() - self.repaired.total()

    def of(self, kind: str) -> list[Fault]:
        return self.faults.get(kind, [])

    def add(self, kind: str, subject: str, problem: str, repaired: bool | str = False, hint: str = "") -> None:
        """`repaired` may say how."""
        self.counts[kind] += 1
        self.repaired[kind] += bool(repaired)
        kept = self.faults.setdefault(kind, [])
        if len(kept) < KEPT:
            how = repaired if isinstance(repaired, str) else "repaired" if repaired else ""
            kept.append(Fault(kind, subject, problem, "" if repaired else hint or KINDS[kind], bool(repaired), how))

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "left": self.left,
            "checked": {"payloads": self.payloads, "artefacts": self.artefacts},
            "buried": self.buried,
            "counts": dict(self.counts),
            "faults": [vars(fault) for kind in self.faults.values() for fault in kind],
        }

    def __str__(self) -> str:
        checked = f"checked {self.payloads} payloads and {self.artefacts} artefacts"
        checked += f", passed over {self.buried} buried rows" if self.buried else ""
        if self.ok:
            return f"{checked}: nothing is wrong"
        lines = [f"{checked}: {self.counts.total()} faults, {self.left} of them left"]
        for kind, faults in self.faults.items():
            lines.append(f"{kind} ({self.counts[kind]})")
            lines += [_line(fault) for fault in faults]
        return "\n".join(lines)


def _line(fault: Fault) -> str:
    return f"  {fault.subject} {fault.problem}\n    → {fault.how or fault.hint}"

"""What a bundle brings is told before anything is written, and one may be required to be signed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import jeyn
from jeyn import Workspace
from jeyn.errors import Conflict, Corrupt, JeynError, NotAllowed, NotFound, UsageError
from jeyn.stores.care.bundle import Brought, export_bundle, import_bundle
from jeyn.stores.care.signature import Signer, public_key
from tests.stores.bundles import counts
from tests.stores.digits import DIGITS, a_batch, a_checkpoint
from tests.stores.test_bundle_file import members_of, pack, with_lines


@pytest.fixture
def other(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home.parent / "other", data=home.parent, actor="bob") as opened:
        yield opened


@pytest.fixture
def source(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home, data=home.parent, actor="ada") as opened:
        yield opened


def keys(folder: Path, name: str, *, ssh: bool = False, password: bytes | None = None) -> tuple[Path, Path]:
    """The files of a private and a public key, as openssl or ssh-keygen would write them."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / name, folder / f"{name}.pub"
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.OpenSSH if ssh else serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    encoding = serialization.Encoding.OpenSSH if ssh else serialization.Encoding.PEM
    told = serialization.PublicFormat.OpenSSH if ssh else serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(encoding, told))
    return private, public


def test_what_would_be_new_is_told_and_nothing_is_written(source: Workspace, other: Workspace, tmp_path: Path) -> None:
    mine = a_checkpoint(other, seed=1)
    other.model_store.bless(mine)
    other.tag(DIGITS.record().id, "plain")
    theirs = a_checkpoint(source, seed=2, dataset=a_batch(source, seed=1), level="major")
    source.model_store.bless(theirs)
    source.tag(DIGITS.record().id, "gold")
    export_bundle(source, theirs, tmp_path / "it")
    before = counts(other)
    told = import_bundle(other, tmp_path / "it", aliases=True, yes=False)
    assert counts(other) == before
    assert list(other.payloads.list()) and not other.payloads.exists(theirs.record().payloads[0].digest[7:])
    assert not told.done
    assert told.numbers == (Brought("checkpoint:digit-reader@1.0.0", theirs.id, "checkpoint:digit-reader@0.1.0"),)
    assert told.moved == (Brought("checkpoint:digit-reader@blessed", theirs.id, mine.id),)
    assert told.marks == ("tag gold of dataset formula digits",)
    done = import_bundle(other, tmp_path / "it", aliases=True)
    assert done.done
    assert (done.numbers, done.moved, done.marks) == (told.numbers, told.moved, told.marks)
    assert (done.new, done.existing, done.payloads) == (told.new, told.existing, 1)


def test_the_first_numbers_are_told_with_the_names_of_their_formulas(
    source: Workspace, other: Workspace, tmp_path: Path
) -> None:
    a_batch(source, seed=1)
    export_bundle(source, a_batch(source, seed=2), tmp_path / "it")
    told = import_bundle(other, tmp_path / "it", yes=False)
    assert [(each.what, each.before) for each in told.numbers] == [
        ("formula:digits@1.0.0", None),
        ("batch:digits@1.0.0/2", None),
    ]
    # A conflict is told then too.
    a_batch(other, seed=7)
    a_batch(other, seed=8)
    with pytest.raises(Conflict):
        import_bundle(other, tmp_path / "it", yes=False)


def test_what_the_catalog_has_already_keeps_its_bytes_and_its_numbers(
    source: Workspace, other: Workspace, tmp_path: Path
) -> None:
    checkpoint = a_checkpoint(source, seed=2, metrics={"accuracy": 0.5})
    export_bundle(source, checkpoint, tmp_path / "it")
    import_bundle(other, tmp_path / "it")

    def lie(lines: list[dict[str, object]]) -> None:
        for line in lines:
            line.update(actor="eve", at=1, quarantined=True, facts='{"metrics": {"accuracy": 0.5}, "note": 1}')
        lines[-1]["claims"] = [{"owner": "checkpoint:digit-reader", "number": "9.0.0", "actor": "eve", "at": 1}]

    pack(tmp_path / "lie", with_lines(members_of(tmp_path / "it"), lie))
    before = counts(other)
    with pytest.raises(Conflict, match=r"9\.0\.0"):
        import_bundle(other, tmp_path / "lie")
    kept = import_bundle(other, tmp_path / "lie", keep="ours")
    assert [each.what for each in kept.kept] == ["checkpoint:digit-reader@9.0.0"]
    assert counts(other) == before
    there = other.model_store.get_checkpoint("digit-reader@latest")
    assert (str(there.version), there.actor, there.is_quarantined, "note" in there.facts) == (
        "0.1.0",
        "ada",
        False,
        False,
    )


@pytest.mark.parametrize("ssh", [False, True], ids=["pem", "openssh"])
def test_a_signed_bundle_is_taken_and_any_other_is_not(
    source: Workspace, other: Workspace, tmp_path: Path, ssh: bool
) -> None:
    private, public = keys(tmp_path, "mine", ssh=ssh)
    _, stranger = keys(tmp_path, "stranger", ssh=ssh)
    checkpoint = a_checkpoint(source)
    export_bundle(source, checkpoint, tmp_path / "signed", sign=private)
    export_bundle(source, checkpoint, tmp_path / "plain")
    before = counts(other)
    for file, key, said in (("plain", public, "not signed"), ("signed", stranger, public_key(public))):
        with pytest.raises(NotAllowed) as caught:
            import_bundle(other, tmp_path / file, require_signature=key)
        assert said in caught.value.message
        assert caught.value.exit_code == 8
    assert counts(other) == before
    done = import_bundle(other, tmp_path / "signed", require_signature=public)
    assert done.signed_by == public_key(public)
    # As text too, and by the private key's own file.
    assert import_bundle(other, tmp_path / "signed", require_signature=public_key(public)).existing == 5
    assert public_key(private) == public_key(public)
    assert import_bundle(other, tmp_path / "plain").signed_by is None


def test_a_signature_covers_every_line_and_every_byte(source: Workspace, other: Workspace, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "mine")
    export_bundle(source, a_checkpoint(source), tmp_path / "it", sign=private)
    members = members_of(tmp_path / "it")
    assert [name for name, _ in members[:3]] == ["manifest.json", "signature.json", "artefacts.jsonl"]
    unsigned = [members[0], *members[2:]]
    changed = with_lines(unsigned, lambda lines: lines[0].update(actor="eve"))
    lies = {
        "lines under a manifest of their own": [changed[0], members[1], *changed[1:]],
        "lines under the old manifest": [members[0], members[1], *changed[1:]],
        "another payload": [*members[:-1], (members[-1][0], members[-1][1] + b"x")],
        "a signature of nothing": [members[0], ("signature.json", _signature(members, signature="")), *members[2:]],
        "a signature that is a list": [members[0], ("signature.json", b"[]"), *members[2:]],
        "a key that is none": [members[0], ("signature.json", _signature(members, key="ed25519:x")), *members[2:]],
        "a signature with more": [members[0], ("signature.json", _signature(members, more="x")), *members[2:]],
        "a signature too long": [members[0], ("signature.json", b" " * (1 << 17)), *members[2:]],
        "two signatures": [members[0], members[1], members[1], *members[2:]],
        "a signature behind the lines": [members[0], members[2], members[1], *members[3:]],
    }
    for what, lie in lies.items():
        pack(tmp_path / "lie", lie)
        for required in (None, public):
            with pytest.raises((Corrupt, NotAllowed)) as caught:
                import_bundle(other, tmp_path / "lie", require_signature=required)
            assert isinstance(caught.value, JeynError), what
            assert counts(other)["artefact"] == 0, what


def _signature(members: list[tuple[str, bytes]], **changes: str) -> bytes:
    return json.dumps(json.loads(members[1][1]) | changes).encode()


def test_equal_content_signed_by_one_key_gives_equal_bytes(source: Workspace, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "mine")
    checkpoint = a_checkpoint(source)
    for name in ("one", "two"):
        export_bundle(source, checkpoint, tmp_path / name, sign=private)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_is_no_key_is_said(source: Workspace, other: Workspace, tmp_path: Path) -> None:
    encrypted, _ = keys(tmp_path, "encrypted", password=b"secret")
    curve = tmp_path / "curve"
    curve.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    noise = tmp_path / "noise"
    noise.write_bytes(b"noise")
    for path in (encrypted, curve, noise, tmp_path):
        with pytest.raises(UsageError):
            Signer(path)
    with pytest.raises(NotFound):
        Signer(tmp_path / "nothing")
    for text in (str(noise), str(curve), "ed25519:x", f"ed25519:{'A' * 44}"):
        with pytest.raises(UsageError):
            public_key(text)
    checkpoint = a_checkpoint(source)
    with pytest.raises(UsageError):
        export_bundle(source, checkpoint, tmp_path / "it", sign=noise)
    assert not (tmp_path / "it").exists()


def test_signatures_need_an_extra_that_is_named_and_all_else_goes_without(
    source: Workspace, home: Path, tmp_path: Path
) -> None:
    private, public = keys(tmp_path, "mine")
    export_bundle(source, a_checkpoint(source), tmp_path / "signed", sign=private)
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import jeyn\n"
        f"with jeyn.open(home={str(tmp_path / 'third')!r}, data={str(tmp_path)!r}) as w:\n"
        f"    assert w.import_bundle({str(tmp_path / 'signed')!r}).signed_by is None\n"
        f"    try: w.import_bundle({str(tmp_path / 'signed')!r}, require_signature={str(public)!r})\n"
        "    except jeyn.errors.UsageError as exc: print(exc.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == 'pip install "jeyn[sign]"'

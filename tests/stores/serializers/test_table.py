"""The serializer table: finding by class and by id, registration, entry points, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jeyn.errors import Conflict, NewerSchema, NotAllowed, NotFound, NotSerializable, UsageError
from jeyn.sdk.serializer import ModelSerializer
from jeyn.stores.serializers.table import BUILT_INS, SerializerTable, default_table


class Thing:
    """A model of a user's."""


class SpecialThing(Thing):
    pass


class ThingSerializer:
    id = "team.thing"
    version = "2.1"
    aliases = ("team.old-thing",)

    def to_bytes(self, model_object: Any) -> bytes:
        return b"thing"

    def from_bytes(self, model_bytes: bytes) -> Any:
        return Thing()


class UnsafeThingSerializer(ThingSerializer):
    id = "team.unsafe-thing"
    aliases = ()
    unsafe = True


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "jeyn.serializers")


def table_with(*entries: EntryPoint) -> SerializerTable:
    return SerializerTable(find_entry_points=lambda: entries)


HERE = "tests.stores.serializers.test_table"


@pytest.mark.parametrize(
    ("model", "identifier"),
    [
        (b"x", "jeyn.bytes"),
        ("x", "jeyn.text"),
        (Path("x"), "jeyn.file"),
        (np.zeros(1), "jeyn.numpy"),
        ({"a": np.zeros(1)}, "jeyn.numpy-dict"),
        (OrderedDict(a=np.zeros(1)), "jeyn.numpy-dict"),
        ({"a": np.zeros(1), "b": 1}, "jeyn.collection"),
        ({}, "jeyn.json"),
        ([1], "jeyn.json"),
    ],
)
def test_a_built_in_serializer_is_found_by_class(model: Any, identifier: str) -> None:
    assert SerializerTable().for_object(model).id == identifier


@pytest.mark.parametrize("built_in", BUILT_INS, ids=lambda built_in: f"{built_in.class_name}-{built_in.id}")
def test_a_built_in_serializer_has_the_id_it_is_declared_with(built_in: Any) -> None:
    serializer = SerializerTable().by_id(built_in.id, "1")
    assert isinstance(serializer, ModelSerializer)
    assert (serializer.id, serializer.version) == (built_in.id, "1")


def test_a_registered_serializer_serves_subclasses_and_old_names_and_aliases() -> None:
    table = SerializerTable()
    table.register(Thing, ThingSerializer(), backward_compatibility_class_names=["old.place.Thing"])
    moved = type("Thing", (), {"__module__": "old.place"})
    assert table.for_object(SpecialThing()).id == "team.thing"
    assert table.for_object(moved()).id == "team.thing"
    assert table.by_id("team.old-thing", "1").id == "team.thing"


def test_a_class_is_registered_by_name_without_being_imported() -> None:
    table = SerializerTable()
    table.register("keras.Model", ThingSerializer())
    model = type("Model", (), {"__module__": "keras"})()
    assert table.for_object(model).id == "team.thing"
    assert "keras" not in sys.modules


def test_the_nearest_class_wins_and_registration_goes_before_built_ins() -> None:
    table = SerializerTable()
    table.register(Thing, ThingSerializer())
    table.register(SpecialThing, UnsafeThingSerializer())
    table.register("numpy.ndarray", ThingSerializer())
    assert table.for_object(SpecialThing()).id == "team.unsafe-thing"
    assert table.for_object(Thing()).id == "team.thing"
    assert table.for_object(np.zeros(1)).id == "team.thing"


def test_an_object_without_serializer_is_named_with_the_cure() -> None:
    with pytest.raises(NotSerializable, match=rf"'{HERE}\.Thing'") as caught:
        SerializerTable().for_object(Thing())
    assert "model_store.register_serializer" in caught.value.hint


def test_an_unknown_id_says_how_to_register_and_what_is_installed() -> None:
    with pytest.raises(NotFound, match=r"'acme\.model'") as caught:
        table_with(entry("keras.Model", f"{HERE}:ThingSerializer")).by_id("acme.model", "1")
    assert "register_serializer" in caught.value.hint
    assert "keras.Model" in caught.value.hint


def test_a_newer_version_than_the_one_at_hand_is_refused() -> None:
    table = SerializerTable()
    table.register(Thing, ThingSerializer())
    for readable in ("1", "2", "2.1"):
        assert table.by_id("team.thing", readable).id == "team.thing"
    for newer in ("2.2", "2.10", "3", "10"):
        with pytest.raises(NewerSchema, match=f"'{newer}'"):
            table.by_id("team.thing", newer)


@pytest.mark.parametrize("missing", ["id", "version", "to_bytes", "from_bytes"])
def test_what_a_serializer_lacks_is_named(missing: str) -> None:
    members = {name: getattr(ThingSerializer, name) for name in ("id", "version", "to_bytes", "from_bytes")}
    members.pop(missing)
    with pytest.raises(UsageError, match=f"has no {missing}"):
        SerializerTable().register(Thing, type("Partial", (), members)())


def test_a_class_or_a_bad_version_is_not_a_serializer() -> None:
    with pytest.raises(UsageError, match="is a class"):
        SerializerTable().register(Thing, ThingSerializer)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'latest'"):
        SerializerTable().register(Thing, type("Odd", (ThingSerializer,), {"version": "latest"})())


def test_an_id_belongs_to_one_kind_of_serializer() -> None:
    class Impostor:
        id = "jeyn.numpy"
        version = "1"
        to_bytes = ThingSerializer.to_bytes
        from_bytes = ThingSerializer.from_bytes

    with pytest.raises(Conflict, match=r"'jeyn\.numpy' belongs to"):
        SerializerTable().register(Thing, Impostor())


def test_entry_points_are_read_only_on_a_miss() -> None:
    reads: list[int] = []

    def find() -> list[EntryPoint]:
        reads.append(1)
        return [entry(f"{HERE}.Thing", f"{HERE}:ThingSerializer")]

    table = SerializerTable(find_entry_points=find)
    table.for_object(b"x")
    table.by_id("jeyn.numpy", "1")
    assert reads == []
    assert table.for_object(Thing()).id == "team.thing"
    assert table.by_id("team.thing", "2").id == "team.thing"
    assert reads == [1]


def test_entry_points_serve_ids_and_never_replace_what_is_registered() -> None:
    table = table_with(entry("x.Y", f"{HERE}:ThingSerializer"))
    mine = ThingSerializer()
    table.register(Thing, mine)
    with pytest.raises(NotFound):
        table.by_id("nobody", "1")
    assert table.by_id("team.thing", "1") is mine


def test_a_broken_entry_point_is_named_and_hides_no_other() -> None:
    table = table_with(entry("broken.Model", "no_such_module:X"), entry(f"{HERE}.Thing", f"{HERE}:ThingSerializer"))
    assert table.for_object(SpecialThing()).id == "team.thing"
    with pytest.raises(NotFound, match=r"broken\.Model.*no_such_module"):
        table.by_id("nobody", "1")


def test_an_unsafe_serializer_never_comes_from_an_entry_point() -> None:
    table = table_with(entry(f"{HERE}.Thing", f"{HERE}:UnsafeThingSerializer"))
    with pytest.raises(NotSerializable):
        table.for_object(Thing())
    with pytest.raises(NotFound, match="registered explicitly"):
        table.by_id("team.unsafe-thing", "1")
    with pytest.raises(NotAllowed):
        table.by_id("jeyn.unsafe-pickle", "1")


def test_rule_26_the_process_has_one_table() -> None:
    assert default_table() is default_table()


def test_importing_the_table_and_looking_up_loads_no_framework() -> None:
    program = (
        "import sys, jeyn.stores.serializers as s; t = s.default_table(); t.by_id('jeyn.sklearn', '1');"
        "t.by_id('jeyn.torch-module', '1'); t.for_object({'a': 1}); s.encode_value({'a': [1]});"
        "print([m for m in ('torch', 'sklearn', 'skops', 'pandas', 'polars', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

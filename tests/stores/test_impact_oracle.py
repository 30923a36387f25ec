"""Impact against an oracle: the same question asked of plain Python data, over generated worlds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.lineage.impact import impact
from tests.stores.lineage_world import World, catalog_of, new_world


@pytest.fixture
def world(catalog_url: str) -> Iterator[World]:
    with new_world(catalog_url) as made:
        yield made


Number = tuple[int, ...]

# A small algebra of its own.
Columns = dict[str, str]
WIDER = {"int32": ["int32", "int64", "float64"], "int64": ["int64"], "float64": ["float64"], "string": ["string"]}
SCORE: Columns = {"score": "float64"}


@dataclass
class Plan:
    """A formula of the generated world: `sources` and `model` (name, version) as its recipe has them."""

    name: str
    version: str
    columns: Columns
    kind: str = "generic"
    sources: list[str] = field(default_factory=list)
    model: str = ""
    keep: list[str] = field(default_factory=list)
    batch: str = ""

    @property
    def ref(self) -> str:
        return f"formula:{self.name}@{self.version}"


@dataclass
class Model:
    name: str
    version: str
    on: Plan
    takes: Columns

    @property
    def ref(self) -> str:
        return f"checkpoint:{self.name}@{self.version}"


def number_of(version: str) -> Number:
    return tuple(map(int, version.split(".")))


def fits(given: Columns, wanted: Columns) -> bool:
    return all(name in given and kind in WIDER[given[name]] for name, kind in wanted.items())


def union(parts: list[Columns]) -> Columns | None:
    shared: Columns = {}
    for name in set.intersection(*(set(part) for part in parts)):
        both = [kind for kind in WIDER if all(kind in WIDER[part[name]] for part in parts)]
        order = ["int32", "int64", "float64", "string"]
        if not both:
            return None
        shared[name] = min(both, key=order.index)
    return shared


class Oracle:
    """Every formula and checkpoint of one generated graph."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.models: list[Model] = []
        self.blessed: dict[str, Model] = {}
        self.coming: tuple[Plan, Number]

    def accepted(self, ref: str) -> list[Plan]:
        name, _, selector = ref.partition("@")
        named = sorted((plan for plan in self.plans if plan.name == name), key=lambda plan: plan.version)
        if selector == "latest":
            return named[-1:]
        if selector == "^1":
            return [plan for plan in named if plan.version.startswith("1.")]
        return [plan for plan in named if plan.version == selector]

    def model(self, ref: str) -> Model:
        name, _, selector = ref.partition("@")
        if selector == "blessed":
            return self.blessed[name]
        return next(model for model in self.models if (model.name, model.version) == (name, selector))

    def next(self, root: Plan, new: Columns) -> Number:
        """The smallest legal version above the root's that is free, found by trying one after the other."""
        known = {number_of(plan.version): plan.columns for plan in self.plans if plan.name == root.name}
        tried = sorted((a, b, c) for a in range(5) for b in range(5) for c in range(5))
        for number in (each for each in tried if each > number_of(root.version) and each not in known):
            base = max(each for each in known if each < number)
            held = known[base]
            breaks, changes = number[0] > base[0], number[:2] > base[:2]
            legal = (changes or new == held) if fits(new, held) else breaks
            if legal:
                return number
        raise AssertionError("no version is legal")

    def broken(self, root: Plan, new: Columns) -> set[str]:
        if new == root.columns:
            return set()
        state: dict[str, tuple[bool, Columns | None, bool]] = {}
        self.coming = (root, self.next(root, new))
        for plan in self.plans:  # sources come first
            state[plan.ref] = (True, new, False) if plan is root else self._after(plan, state)
        found = {ref for ref, (_, _, breaks) in state.items() if breaks}
        for model in self.models:
            changed, columns, _ = state[model.on.ref]
            if changed and (columns is None or not fits(columns, model.takes)):
                found.add(model.ref)
            if not changed:
                found |= {model.ref for given in self._line(model.on, root, state) if self._unfit(model, given, state)}
        return found

    def _line(self, plan: Plan, root: Plan, state: dict[str, tuple[bool, Columns | None, bool]]) -> list[Plan]:
        """The changed formulas that would feed what was trained on another version of theirs."""
        named = [each for each in self.plans if each.name == plan.name]
        head = max(named, key=lambda each: number_of(each.version))
        return [each for each in named if state[each.ref][0] and each in (root, head)]

    def _unfit(self, model: Model, given: Plan, state: dict[str, tuple[bool, Columns | None, bool]]) -> bool:
        columns = state[given.ref][1]
        return fits(given.columns, model.takes) and (columns is None or not fits(columns, model.takes))

    def _is_fed(self, ref: str) -> bool:
        """Whether a recipe's reference would mean the version that is coming."""
        root, number = self.coming
        name, _, selector = ref.partition("@")
        if name != root.name:
            return False
        if selector == "latest":
            return number > max(number_of(plan.version) for plan in self.plans if plan.name == name)
        return selector == "^1" and number[0] == 1

    def _after(
        self, plan: Plan, state: dict[str, tuple[bool, Columns | None, bool]]
    ) -> tuple[bool, Columns | None, bool]:
        """Whether its catalog changes, what it is then (None: it cannot be made), and whether its contract breaks."""
        before: list[Columns] = []
        after: list[Columns | None] = []
        any_changed = False
        for ref in plan.sources:
            able = [each for each in self.accepted(ref) if each.ref in state]
            moved = [each for each in able if state[each.ref][0]]
            used = (moved or able)[-1]
            fed = not moved and self._is_fed(ref)
            any_changed = any_changed or bool(moved) or fed
            before.append(used.columns)
            after.append(state[self.coming[0].ref if fed else used.ref][1])
        if not any_changed:
            return False, plan.columns, False
        if any(columns is None for columns in after):
            return True, None, True
        olds, news = self._make(plan, before), self._make(plan, [c for c in after if c is not None])
        if news is None:
            return True, None, True
        if olds == plan.columns:
            return news != plan.columns, news, not fits(news, plan.columns)
        return (False, plan.columns, False) if fits(news, plan.columns) else (True, news, True)

    def _make(self, plan: Plan, parts: list[Columns]) -> Columns | None:
        if plan.kind == "composite":
            return union(parts)
        (source,) = parts
        if not fits(source, self.model(plan.model).takes) or not set(plan.keep) <= set(source):
            return None
        return SCORE | {name: source[name] for name in plan.keep}


def as_catalog(columns: Columns) -> type[DataCatalog]:
    return catalog_of(**{name: Feature(Dtypes(kind)) for name, kind in columns.items()})


class Generated(Oracle):
    """A random graph, saved in a catalog under names of its own."""

    def __init__(self, world: World, seed: int, prefix: str) -> None:
        super().__init__()
        self.world, self.chance, self.prefix = world, random.Random(seed), prefix
        for n in range(3):
            for version in self.chance.choice([["1.0.0"], ["1.0.0", "1.1.0"], ["1.0.0", "2.0.0"]]):
                self._add(Plan(f"{prefix}base{n}", version, self.columns()))
        for n in range(9):
            self.chance.choice([self._composite, self._composite, self._model_formula, self._train, self._train])(n)

    def columns(self) -> Columns:
        names = self.chance.sample("abcd", k=self.chance.randint(2, 4))
        return {name: self.chance.choice(["int32", "int32", "int64", "float64", "string"]) for name in names}

    def changed(self, columns: Columns) -> Columns:
        new = dict(columns)
        name = self.chance.choice(sorted(new))
        match self.chance.randrange(4):
            case 0:
                del new[name]
            case 1:
                new[name] = self.chance.choice(sorted(WIDER))
            case 2:
                new["extra"] = "int32"
        return new

    def _add(self, plan: Plan) -> None:
        world = self.world
        catalog = as_catalog(plan.columns)
        if plan.kind == "composite":
            id = world.composite(plan.name, plan.sources, catalog, plan.version)
        elif plan.kind == "model":
            id = world.model_formula(plan.name, plan.sources[0], plan.model, catalog, plan.keep, plan.version)
        else:
            id = world.formula(plan.name, plan.version, catalog)
        plan.batch = world.batch(id, plan.ref)
        self.plans.append(plan)

    def _source(self) -> tuple[str, Plan]:
        plan = self.chance.choice(self.plans)
        ref = f"{plan.name}@{self.chance.choice(['^1', 'latest', plan.version])}"
        return ref, self.accepted(ref)[-1]

    def _composite(self, n: int) -> None:
        picked = [self._source() for _ in range(self.chance.randint(1, 3))]
        columns = union([plan.columns for _, plan in picked])
        if not columns:
            return
        if self.chance.random() < 0.3:  # declared, and narrower than what the parts give
            columns = {name: columns[name] for name in sorted(columns)[: max(1, len(columns) - 1)]}
        self._add(Plan(f"{self.prefix}union{n}", "1.0.0", columns, "composite", [ref for ref, _ in picked]))

    def _train(self, n: int) -> None:
        plan = self.chance.choice(self.plans)
        names = self.chance.sample(sorted(plan.columns), k=self.chance.randint(1, len(plan.columns)))
        takes = {name: self.chance.choice(WIDER[plan.columns[name]]) for name in names}
        model = Model(f"{self.prefix}use{self.chance.randrange(2)}", f"1.{n}.0", plan, takes)
        id = self.world.checkpoint(model.name, model.version, plan.batch, inputs=as_catalog(takes), outputs=SCORES)
        self.models.append(model)
        if self.chance.random() < 0.5 and not any(plan.model for plan in self.plans):
            self.world.bless(id)
            self.blessed[model.name] = model

    def _model_formula(self, n: int) -> None:
        if not self.models:
            return
        ref, source = self._source()
        model = self.chance.choice(self.models)
        keep = self.chance.sample(sorted(source.columns), k=self.chance.randint(0, 1))
        if not fits(source.columns, model.takes) or "score" in source.columns:
            return
        named = "blessed" if self.blessed.get(model.name) is model else model.version
        columns = SCORE | {name: source.columns[name] for name in keep}
        self._add(Plan(f"{self.prefix}scored{n}", "1.0.0", columns, "model", [ref], f"{model.name}@{named}", keep=keep))


SCORES = as_catalog(SCORE)


def compare(world: World, seeds: range) -> int:
    """How many breaks there were in all."""
    breaks = 0
    for seed in seeds:
        made = Generated(world, seed, f"g{seed}-")
        for plan in made.plans:
            for _ in range(2):
                new = made.changed(plan.columns)
                expected = made.broken(plan, new)
                found = impact(world.reader, plan.ref, new_catalog=as_catalog(new))
                assert {str(each.ref) for each in found.breaks} == expected, (seed, plan, new)
                if new != plan.columns:
                    assert found.next_version == ".".join(map(str, made.next(plan, new))), (seed, plan, new)
                assert (found.bump == "none") == (new == plan.columns)
                assert (found.bump == "major") == (not fits(new, plan.columns))
                breaks += len(expected)
    return breaks


def test_impact_finds_each_break_and_no_other(world: World) -> None:
    assert compare(world, range(12)) > 20


@pytest.mark.long
def test_impact_finds_each_break_in_many_graphs(world: World) -> None:
    assert compare(world, range(1000, 1060)) > 200

"""Small pipelines, as data, that every engine must carry out alike: states, the run's state, its exit code, and ids.

What an operation of theirs remembers from one attempt to the next lies in the catalog, never in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A pipeline `flow`, and what comes of it."""

    name: str
    source: str
    states: Mapping[str, str]
    state: str = "succeeded"
    exit_code: int = 0
    error: str = ""  # in the run's message
    arguments: Mapping[str, Any] = field(default_factory=dict)
    data: bool = False  # with the formula `points` and the use case `guess`
    times: int = 1  # run so often; the last time counts


BASE = """
@operation
def number(value: float = 1.0) -> float:
    return value

@operation
def say(text: str, after: float = 0) -> str:
    return text

@operation
def numbers(count: int) -> list:
    return list(range(count))

@operation
def scale(number: float, by: float = 10, plus: float = 0) -> float:
    return number * by + plus

@operation
def total(numbers: list) -> float:
    return sum(numbers)

@operation
def count(numbers: list) -> int:
    return len(numbers)

@operation
def minmax(number: int) -> tuple[int, int]:
    return number - 1, number + 1

@operation
def fail(value: float = 1.0) -> float:
    raise ValueError(f"no {value}")

@operation
def fail_two(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number
"""


def flow(body: str, *, head: str = "", options: str = "", parameters: str = "") -> str:
    """`BASE`, and a pipeline with this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"{BASE}{head}\n@pipeline{options}\ndef flow({parameters}):\n{lines}"


def each(name: str, *found: str) -> dict[str, str]:
    """The states of a mapped operation's items."""
    return {f"{name}[{index}]": state for index, state in enumerate(found)}


OK, FAILED, SKIPPED, NOT_RUN, CACHED = "succeeded", "failed", "skipped", "not run", "cached"

CASES = (
    Case("one", flow("return number(2)"), {"number": OK}),
    Case("chain", flow("return scale(scale(number(2)))"), {"number": OK, "scale": OK, "scale-2": OK}),
    Case(
        "diamond",
        flow("a = number(2)\nreturn total([scale(a), scale(a, 100)])"),
        {"number": OK, "scale": OK, "scale-2": OK, "total": OK},
    ),
    Case(
        "several outputs",
        flow("low, high = minmax(3)\nreturn {'low': scale(low), 'high': scale(high)}"),
        {"minmax": OK, "scale": OK, "scale-2": OK},
    ),
    Case(
        "nested pipelines",
        flow(
            "a, b = inner(2)\nreturn inner(a)",
            head="@pipeline\ndef inner(value):\n    scaled = scale(value)\n    return scaled, total([scaled, 1])\n",
        ),
        {"inner/scale": OK, "inner/total": OK, "inner-2/scale": OK, "inner-2/total": OK},
    ),
    Case(
        "parameters",
        flow("return scale(number(strength), plus=more)", parameters="strength: float = 1.0, more: float = 0"),
        {"number": OK, "scale": OK},
        arguments={"strength": 2.5, "more": 4.0},
    ),
    Case(
        "map over constants",
        flow("return total(scale.bind(by=2).map(number=[1, 2, 3]))"),
        {"scale": OK, **each("scale", OK, OK, OK), "total": OK},
    ),
    Case(
        "map over an output",
        flow("return count(scale.map(number=numbers(3)))"),
        {"numbers": OK, "scale": OK, **each("scale", OK, OK, OK), "count": OK},
    ),
    Case(
        "zip",
        flow("return scale.map(number=[1, 2], plus=numbers(2))"),
        {"numbers": OK, "scale": OK, **each("scale", OK, OK)},
    ),
    Case(
        "map over a map",
        flow("one = scale.map(number=[1, 2])\nreturn total(scale.options(name='two').map(number=one))"),
        {"scale": OK, **each("scale", OK, OK), "two": OK, **each("two", OK, OK), "total": OK},
    ),
    Case(
        "several outputs of a map",
        flow("low, high = minmax.map(number=[5, 6])\nreturn {'low': total(low), 'high': high}"),
        {"minmax": OK, **each("minmax", OK, OK), "total": OK},
    ),
    Case("empty map", flow("return count(scale.map(number=numbers(0)))"), {"numbers": OK, "scale": OK, "count": OK}),
    Case(
        "map over an empty map",
        flow("e = scale.map(number=numbers(0))\nreturn count(scale.options(name='two').map(number=e))"),
        {"numbers": OK, "scale": OK, "two": OK, "count": OK},
    ),
    Case(
        "unequal lengths",
        flow("return total(scale.map(number=numbers(2), plus=numbers(3)))"),
        {"numbers": OK, "numbers-2": OK, "scale": FAILED, "total": NOT_RUN},
        FAILED, 5, '"number" has 2',
    ),
    Case(
        "map over what is no list",
        flow("return scale.map(number=thing())", head="@operation\ndef thing():\n    return 5\n"),
        {"thing": OK, "scale": FAILED},
        FAILED, 5, "not a list",
    ),
    Case(
        "when it holds",
        flow("with jeyn.when(number(2) > 1):\n    a = say('a')\nwith jeyn.otherwise():\n    b = say('b')\nreturn a"),
        {"number": OK, "say": OK, "say-2": SKIPPED},
    ),
    Case(
        "when it does not",
        flow("with jeyn.when(number(0) > 1):\n    a = say('a')\nwith jeyn.otherwise():\n    b = say('b')\nreturn b"),
        {"number": OK, "say": SKIPPED, "say-2": OK},
    ),
    Case(
        "first of branches",
        flow(
            "m = number(0)\nwith jeyn.when(m > 1):\n    a = say('a')\nwith jeyn.otherwise():\n    b = say('b')\n"
            "return say.options(name='either')(jeyn.first(a, b))"
        ),
        {"number": OK, "say": SKIPPED, "say-2": OK, "either": OK},
    ),
    Case(
        "first of nothing",
        flow(
            "with jeyn.when(number(0) > 1):\n    a = say('a')\n    b = say('b')\n"
            "return {'kept': say.options(name='either')(jeyn.first(a, b)), 'c': number.options(name='c')()}"
        ),
        {"number": OK, "say": SKIPPED, "say-2": SKIPPED, "either": SKIPPED, "c": OK},
    ),
    Case(
        "first though another branch failed",
        flow("return say.options(name='either')(jeyn.first(say('a'), fail()))"),
        {"say": OK, "fail": FAILED, "either": OK},
        FAILED, 1, "no 1.0",
    ),
    Case(
        "first of a branch that failed",
        flow("e = number.options(name='either')(jeyn.first(fail(), number()))\nreturn scale(e)"),
        {"fail": FAILED, "number": OK, "either": NOT_RUN, "scale": NOT_RUN},
        FAILED, 1, "no 1.0",
    ),
    Case(
        "skipping spreads",
        flow(
            "with jeyn.when(number(0) > 1):\n    a = say('a')\n"
            "b = say.options(name='b')(a)\nc = say.options(name='c').map(text=[b, 'x'])\n"
            "d = say.options(name='d').map(text=['e', 'f'], after=[number.options(name='n')(), length(b)])\n"
            "return {'b': b, 'c': c, 'd': count(c)}",
            head="@operation\ndef length(text: str) -> float:\n    return float(len(text))\n",
        ),
        {"number": OK, "say": SKIPPED, "b": SKIPPED, "c": OK, **each("c", SKIPPED, OK), "n": OK, "length": SKIPPED,
         "d": OK, **each("d", OK, SKIPPED), "count": OK},
    ),
    Case(
        "map in a branch that is not taken",
        flow("with jeyn.when(number(0) > 1):\n    a = scale.map(number=[1, 2])\nreturn {'a': a, 'n': total([1])}"),
        {"number": OK, "scale": SKIPPED, "total": OK},
    ),
    Case(
        "nested conditions",
        flow(
            "m = number(0.97)\nwith jeyn.when(m > 0.9):\n    a = say('a')\n"
            "    with jeyn.when((m > 0.95) & ~(m == 1)):\n        b = say('b')\n"
            "    with jeyn.otherwise():\n        c = say('c')\nreturn {'b': b, 'c': c}"
        ),
        {"number": OK, "say": OK, "say-2": OK, "say-3": SKIPPED},
    ),
    Case(
        "a condition that cannot be answered",
        flow("with jeyn.when(say('text') > 3):\n    a = number()\nreturn a"),
        {"say": OK, "number": FAILED},
        FAILED, 5, "'text' > 3",
    ),
    Case(
        "failure cancels what needs it and nothing else",
        flow("a = scale(fail())\nb = scale(a)\nreturn scale.options(name='c')(number())"),
        {"fail": FAILED, "scale": NOT_RUN, "scale-2": NOT_RUN, "number": OK, "c": OK},
        FAILED, 1, "no 1.0",
    ),
    Case(
        "an item that fails",
        flow("some = fail_two.map(number=[1, 2, 3])\nreturn total(some)"),
        {"fail_two": FAILED, **each("fail_two", OK, FAILED, OK), "total": NOT_RUN},
        FAILED, 1, "two",
    ),
    Case(
        "a condition on what failed",
        flow("with jeyn.when(fail() > 1):\n    a = number()\nreturn a"),
        {"fail": FAILED, "number": NOT_RUN},
        FAILED, 1,
    ),
    Case(
        "never tried again",
        flow(
            "return broken()",
            head="@operation(retries=3, backoff=0.1)\ndef broken() -> float:\n    raise jeyn.Fatal('for good')\n",
        ),
        {"broken": FAILED},
        FAILED, 1, "for good",
    ),
    Case(
        "a contract is never tried again",
        flow(
            "return broken()",
            head="@operation(retries=3, backoff=0.1)\ndef broken() -> object:\n    return object()\n",
        ),
        {"broken": FAILED},
        FAILED, 5,
    ),
    Case(
        "tried again",
        flow(
            "return scale(second_time())",
            head="""
@operation(retries=2, backoff=0.1)
def second_time() -> float:
    outside = jeyn.context().outside
    try:
        outside.get("usecase:guess")
    except jeyn.errors.NotFound:
        outside.model_store.save_use_case(guess)
        raise ValueError("not the first time")
    return 1.0
""",
        ),
        {"second_time": OK, "scale": OK},
        data=True,
    ),
    Case(
        "tried again in vain",
        flow("return fail.options(retries=1, backoff=0.1)()"),
        {"fail": FAILED},
        FAILED, 1, "no 1.0",
    ),
    Case(
        "a time-out",
        flow("return slow.options(timeout=0.5)()", head="@operation\ndef slow() -> float:\n    time.sleep(60)\n"),
        {"slow": FAILED},
        FAILED, 1, "did not end within 0.5 s",
    ),
    Case(
        "a crash",
        flow("return scale(crash())", head="@operation\ndef crash() -> float:\n    os._exit(3)\n"),
        {"crash": FAILED, "scale": NOT_RUN},
        FAILED, 1, 'the process of "crash"',
    ),
    Case(
        "exit handler",
        flow(
            "return number()",
            head="@operation\ndef told(state: str, error: str | None) -> str:\n    return f'{state} {error}'\n",
            options="(on_exit=told)",
        ),
        {"number": OK, "told": OK},
    ),
    Case(
        "exit handler after a failure",
        flow(
            "return scale(fail())",
            head="@operation\ndef told(state: str, error: str | None) -> str:\n    return f'{state} {error}'\n",
            options="(on_exit=told)",
        ),
        {"fail": FAILED, "scale": NOT_RUN, "told": OK},
        FAILED, 1, "no 1.0",
    ),
    Case(
        "exit handler that fails",
        flow(
            "return number()",
            head="@operation\ndef told(state: str) -> str:\n    raise ValueError('the handler')\n",
            options="(on_exit=told)",
        ),
        {"number": OK, "told": FAILED},
        FAILED, 1, "the handler",
    ),
    Case(
        "what was made before",
        flow("return total(scale.map(number=numbers(2)))"),
        {"numbers": CACHED, "scale": CACHED, **each("scale", CACHED, CACHED), "total": CACHED},
        times=2,
    ),
    Case(
        "values after import",
        flow(
            "return held(held(1))",
            head="""
HERE = Path(__file__).resolve().parent
NAMES = {each.suffix for each in HERE.glob("*.py")} | {"a", "b"}

@operation
def held(number: int) -> int:
    return number + len(NAMES) + len(HERE.name) * 0
""",
        ),
        {"held": CACHED, "held-2": CACHED},
        times=2,
    ),
    Case(
        "no cache for one",
        flow("return scale(number.options(cache=False)(3))"),
        {"number": OK, "scale": CACHED},
        times=2,
    ),
    Case(
        "effects are never from the cache",
        flow(
            "return bless(train())",
            head="""
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def train() -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [1.0]}))
    return model_store.save_checkpoint(guess.update_minor(dataset=batch, model=np.array([1.0])))

@operation
def bless(checkpoint: ModelCheckpoint) -> ModelCheckpoint:
    model_store.bless(checkpoint, reason="it is good")
    return checkpoint
""",
        ),
        {"train": CACHED, "bless": OK},
        data=True,
        times=2,
    ),
    Case(
        "checkpoints in a map",
        flow(
            "return count(refs(train.map(at=[0, 1, 2])))",
            head="""
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def train(at: int) -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [1.0]}))
    return guess.update_minor(dataset=batch, model=np.array([float(at)]))

@operation
def refs(checkpoints: list) -> list:
    return [each.ref for each in checkpoints]
""",
        ),
        {"train": OK, **each("train", OK, OK, OK), "refs": OK, "count": OK},
        data=True,
    ),
    Case(
        "names that Argo would not take",
        flow(
            "a = number.options(name='Größe-der-Dinge')(1)\n"
            "b = number.options(name='Grosse_der_Dinge')(2)\nreturn total([a, b, number.options(name='1.5')(3)])"
        ),
        {"Größe-der-Dinge": OK, "Grosse_der_Dinge": OK, "1.5": OK, "total": OK},
    ),
    Case(
        "constants of other types than JSON's",
        flow(
            "return kind.map(x=[date(2024, 1, 31), timedelta(hours=1), Decimal('1.10'), Mode.QUICK,"
            " Sizes([1], date(2024, 1, 1)), {'$value': 'dict', 'is': date(2024, 1, 1)}, Model(rate=0.5)]),"
            " kind(when), kind()",
            head="""
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pydantic import BaseModel

class Mode(Enum):
    QUICK = 1
    FULL = 2

@dataclass
class Sizes:
    sizes: list[int]
    since: date

class Model(BaseModel):
    rate: float

@operation
def kind(x=Mode.FULL) -> list:
    assert x != 3
    return [type(x).__name__, repr(x)]
""",
            parameters="when: datetime = datetime(2024, 1, 2)",
        ),
        {"kind": OK, **each("kind", *[OK] * 7), "kind-2": OK, "kind-3": OK},
    ),
    Case(
        "the same process state",
        flow(
            "with jeyn.when(spoil() == 1):\n    return state()",
            head="""
@operation
def spoil() -> int:
    import random, signal, warnings
    random.seed(1), os.umask(0o77), os.chdir("/"), warnings.simplefilter("error"), sys.argv.append("--more")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return 1

@operation
def state() -> list:
    import locale, logging, random, signal
    import numpy as np
    return [
        Path("pipeline.py").exists(), sys.argv, os.umask(0o22), str(signal.getsignal(signal.SIGINT)),
        random.random(), float(np.random.rand()), logging.getLogger().level, locale.setlocale(locale.LC_NUMERIC),
        sys.stdin.read(), sys.stdout.encoding, time.tzname,
    ]
""",
        ),
        {"spoil": OK, "state": OK},
    ),
)  # fmt: skip

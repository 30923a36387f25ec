"""Settings that libraries keep for a whole process, read and put back where a library is loaded (SEMANTICS 35).

NumPy's and decimal's are context variables, which each operation has for itself.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """`fresh` is what a library begins with: it may be imported only after the state was read."""

    module: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], Any]
    fresh: Callable[[Any], Any]


def read() -> dict[int, Any]:
    """The settings of what is loaded."""
    return {
        index: each.read(sys.modules[each.module]) for index, each in enumerate(_SETTINGS) if each.module in sys.modules
    }


def restore(before: Mapping[int, Any]) -> None:
    """Put them back."""
    for index, (name, now, write, fresh) in enumerate(_SETTINGS):
        module = sys.modules.get(name)
        if module is None:
            continue
        value = before[index] if index in before else fresh(module)
        if now(module) != value:
            write(module, value)
    if "asyncio" in sys.modules:
        _fresh_loops(sys.modules["asyncio"])
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")  # or the next plot is drawn into the same figure


def _fresh_loops(asyncio: Any) -> None:
    """After `asyncio.run` a thread has no loop and makes none; a policy of the project's own stays."""
    policy = asyncio.get_event_loop_policy()
    if type(policy) is asyncio.DefaultEventLoopPolicy:
        asyncio.set_event_loop_policy(None)


_SETTINGS = (
    Setting("csv", lambda csv: csv.field_size_limit(), lambda csv, most: csv.field_size_limit(most), lambda _: 131072),
    Setting(
        "csv",
        lambda csv: {name: csv.get_dialect(name) for name in csv.list_dialects()},
        lambda csv, found: _set_dialects(csv, found),
        lambda csv: {"excel": csv.excel, "excel-tab": csv.excel_tab, "unix": csv.unix_dialect},
    ),
    Setting(
        "urllib.request",
        lambda request: request._opener,
        lambda request, opener: setattr(request, "_opener", opener),
        lambda _: None,
    ),
    Setting(
        "ssl",
        lambda ssl: ssl._create_default_https_context,
        lambda ssl, found: setattr(ssl, "_create_default_https_context", found),
        lambda ssl: ssl.create_default_context,
    ),
    Setting(
        "asyncio",
        lambda asyncio: type(asyncio.get_event_loop_policy()),
        lambda asyncio, kind: asyncio.set_event_loop_policy(kind()),
        lambda asyncio: asyncio.DefaultEventLoopPolicy,
    ),
    Setting(
        "multiprocessing.context",
        lambda context: context._default_context._actual_context,
        lambda context, found: setattr(context._default_context, "_actual_context", found),
        lambda _: None,
    ),
    Setting(
        "sklearn._config",
        lambda config: config.get_config(),
        lambda config, found: config.set_config(**found),
        lambda config: dict(config._global_config),
    ),
    Setting(
        "matplotlib",
        lambda matplotlib: dict(dict.items(matplotlib.rcParams)),
        lambda matplotlib, found: dict.update(matplotlib.rcParams, found),
        lambda matplotlib: dict(dict.items(matplotlib.rcParamsOrig)),
    ),
    Setting(
        "torch",
        lambda torch: (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            str(torch.get_default_device()),
            torch.get_float32_matmul_precision(),
        ),
        lambda torch, found: _set_torch(torch, *found),
        lambda torch: (torch.float32, True, torch.get_num_threads(), False, "cpu", "highest"),
    ),
    Setting(
        "pandas._config.config",
        lambda config: dict(_flat(config._global_config)),
        lambda config, found: _set_pandas(config, found),
        lambda config: {name: each.defval for name, each in config._registered_options.items()},
    ),
)


def _flat(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _set_pandas(config: Any, before: Mapping[str, Any]) -> None:
    now = dict(_flat(config._global_config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of its options are deprecated
        for name, value in before.items():
            if now.get(name, value) != value:
                config.set_option(name, value)


def _set_dialects(csv: Any, before: Mapping[str, Any]) -> None:
    """One that came since stays: a module that was imported meanwhile may have registered it."""
    for name, dialect in before.items():
        csv.register_dialect(name, dialect)


def _set_torch(
    torch: Any, dtype: Any, grad: bool, threads: int, is_deterministic: bool, device: str, precision: str
) -> None:
    torch.set_default_device(None if device == "cpu" else device)
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(is_deterministic)
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(grad)
    torch.set_num_threads(threads)

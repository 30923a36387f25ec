"""Torch modules for the tests, importable by name."""

from __future__ import annotations

from typing import Any

import torch


class Perceptron(torch.nn.Module):
    """One hidden layer; `config` says how it was built."""

    def __init__(self, inputs: int, hidden: int = 8) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        self.first = torch.nn.Linear(inputs, hidden)
        self.norm = torch.nn.BatchNorm1d(hidden)
        self.last = torch.nn.Linear(hidden, 2)

    def config(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "hidden": self.hidden}

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(torch.relu(self.norm(self.first(rows))))
        return scores


class Tied(torch.nn.Module):
    """Two layers that share one weight."""

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        self.encode = torch.nn.Linear(size, size, bias=False)
        self.decode = torch.nn.Linear(size, size, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.decode(self.encode(rows))
        return decoded


class Forgetful(torch.nn.Module):
    """Was built with a size, and does not say which."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(size, size)


class Other:
    """Not a module; building it would be noticed."""

    def __init__(self) -> None:
        raise AssertionError("this was called")

"""A small network that tells malignant tumours from benign ones, and the serializer that keeps it.

Jeyn could keep this class by itself; a serializer of your own says exactly what the bytes are, so that other programs
can read them. jeyn.yaml names it under `serializers:`, for every process of the project.
"""

from __future__ import annotations

import safetensors.torch
import torch
from torch import Tensor, nn


class TumourNet(nn.Module):
    """Takes raw measurements, shape (rows, inputs); gives the logit of being malignant, shape (rows,)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, measures: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden((measures - self.mean) / self.scale))).squeeze(-1)

    def fit_scale(self, measures: Tensor) -> None:
        """Learn how large measurements are; a fine-tuned network keeps its parent's scale."""
        self.mean.copy_(measures.mean(0))
        self.scale.copy_(measures.std(0))


class TumourNetSerializer:
    """The network's tensors as safetensors, by name; how large it is can be seen in their shapes."""

    id = "breast-cancer.tumour-net"
    version = "1"

    def to_bytes(self, model_object: TumourNet) -> bytes:
        return safetensors.torch.save({name: each.contiguous() for name, each in model_object.state_dict().items()})

    def from_bytes(self, model_bytes: bytes) -> TumourNet:
        tensors = safetensors.torch.load(model_bytes)
        hidden, inputs = tensors["hidden.weight"].shape
        network = TumourNet(inputs, hidden)
        network.load_state_dict(tensors)
        return network

"""ONNX models as the protobuf that every ONNX runtime reads: https://onnx.ai/onnx/repo-docs/IR.html."""

from __future__ import annotations

from typing import Any

from jeyn.errors import NotSerializable
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.extras import need


class OnnxSerializer:
    """A `onnx.ModelProto` whose tensors are all inside; it is checked when it is loaded."""

    id = "jeyn.onnx"
    version = "1"

    def to_bytes(self, model_object: Any) -> bytes:
        outside = [tensor.name for tensor in model_object.graph.initializer if tensor.data_location == 1]
        if outside:
            raise NotSerializable(
                f"the tensors {', '.join(map(repr, outside[:3]))} of the model are in files beside it",
                hint="load it with onnx.load(path), which reads them, then save that",
            )
        return bytes(model_object.SerializeToString(deterministic=True))

    def from_bytes(self, model_bytes: bytes) -> Any:
        onnx = need("onnx", "onnx")
        with decoding(self.id):
            model = onnx.load_model_from_string(model_bytes)
            onnx.checker.check_model(model)
            return model

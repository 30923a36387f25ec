"""Serializers of models and values: Jeyn's own, and the table that finds them."""

from jeyn.stores.serializers.table import SerializerTable, default_table
from jeyn.stores.serializers.unsafe_pickle import UnsafePickleSerializer
from jeyn.stores.serializers.values import EncodedValue, decode_value, encode_value

__all__ = ["EncodedValue", "SerializerTable", "UnsafePickleSerializer", "decode_value", "default_table", "encode_value"]

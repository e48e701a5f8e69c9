"""Pack values and arrays as plain bytes, to exchange them with a process that is not trusted.

A message is a length, a JSON header and the raw buffers of the arrays. Unlike a pickle, a message cannot run code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.deep_parsing import parsing_deeply

_LENGTH = struct.Struct("<Q")
_DTYPES = frozenset({"<f8", "<i8", "|u1"})
_LARGEST_HEADER = 1_000_000  # bytes


class Message(NamedTuple):
    """Content of a message.

    Attributes:
        values: Values that JSON can express.
        arrays: Arrays of float64, int64 or uint8 by name.
    """

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def pack(values: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> bytes:
    """Pack a message as bytes.

    Args:
        values: Values that JSON can express.
        arrays: Arrays of float64, int64 or uint8.

    >>> message = unpack(pack({"code": ""}, {"cell": np.eye(2)}))
    >>> message.values, message.arrays["cell"].tolist()
    ({'code': ''}, [[1.0, 0.0], [0.0, 1.0]])
    """
    plain = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    layout = [[name, array.dtype.str, list(array.shape)] for name, array in plain.items()]
    header = json.dumps({"values": values, "arrays": layout}).encode("ascii")
    return b"".join([_LENGTH.pack(len(header)), header, *(array.tobytes() for array in plain.values())])


def unpack(message: bytes) -> Message:
    """Read a message that :func:`pack` wrote.

    Raises:
        ValueError: If the bytes are not a message.
    """
    try:
        (length,) = _LENGTH.unpack_from(message)
        if length > _LARGEST_HEADER:
            raise ValueError(f"header of {length} bytes")
        at = _LENGTH.size + length
        with parsing_deeply():
            header = json.loads(message[_LENGTH.size : at])
        arrays = {}
        for name, dtype, shape in header["arrays"]:
            if dtype not in _DTYPES or not all(isinstance(n, int) and n >= 0 for n in shape):
                raise ValueError(f"array of {dtype} and shape {shape}")
            kind, count = np.dtype(dtype), math.prod(shape)
            arrays[str(name)] = np.frombuffer(message, kind, count, at).reshape(shape)
            at += kind.itemsize * count
        if at != len(message) or not isinstance(header["values"], dict):
            raise ValueError("parts of the wrong size or kind")
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError, struct.error) as error:
        raise ValueError(f"not a message: {error}") from error
    return Message(header["values"], arrays)

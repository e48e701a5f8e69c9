import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.guard.messages import pack, unpack


def test_values_and_arrays_come_back() -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.array([1, 2], np.uint8),
        "c": np.empty((0, 3)),
        "d": np.eye(2).T,
    }
    message = unpack(pack({"code": "E-X", "detail": "é\n"}, arrays))
    assert message.values == {"code": "E-X", "detail": "é\n"}
    assert message.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert message.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(message.arrays[name], array)


@pytest.mark.parametrize(
    "layout",
    [
        [["a", "|O", [1]]],
        [["a", "<f8", [-1]]],
        [["a", "<f8", [2**40, 2**40]]],
        [["a", "<f8", [True]], ["b", "<f8", [10]]],
        [["a", "<f8", "3"]],
        [["a"]],
        {"a": 1},
        None,
    ],
)
def test_hostile_layouts_are_value_errors(layout: object) -> None:
    header = json.dumps({"values": {}, "arrays": layout}).encode()
    with pytest.raises(ValueError, match=r"."):
        unpack(struct.pack("<Q", len(header)) + header + bytes(8))


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2) + b"[]"])
def test_what_is_no_message_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(content)


@given(st.data())
def test_damaged_messages_are_read_or_value_errors(data: st.DataObject) -> None:
    message = bytearray(pack({"code": ""}, {"a": np.arange(3.0)}))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        values, arrays = unpack(bytes(message))
    except ValueError:
        return
    assert isinstance(values, dict)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())

import gc
import json
import weakref

import pytest

from matloop.data.bounded_files import parse_json
from matloop.data.deep_parsing import parsing_deeply
from matloop.data.errors import DamagedFileError


class Node:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.me = self


def test_nothing_is_collected_at_the_bottom_of_a_recursion() -> None:
    threshold = gc.get_threshold()
    gc.collect()
    tidied: list[str] = []
    gc.set_threshold(1, 1, 1)
    try:
        with parsing_deeply():
            weakref.finalize(Node(), tidied.append, "node")
            with pytest.raises(RecursionError):
                json.loads("[" * 200_000)
            assert tidied == []
        gc.collect()
        assert tidied == ["node"]
    finally:
        gc.set_threshold(*threshold)


def test_collection_goes_on_after_a_refusal() -> None:
    with pytest.raises(DamagedFileError, match="nested"):
        parse_json(b"[" * 200_000, name="a.json")
    assert gc.isenabled()

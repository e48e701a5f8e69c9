import ast
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from matloop.data import errors
from matloop.data.errors import ROW_CODES, MatloopError, UnknownNameError, unknown_name

FOLDERS = [Path(__file__).parents[2] / name for name in ("data", "featurizers", "models", "screening", "workflows")]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MatloopError)]
CODE = re.compile(r"E(-[A-Z]+)+")


def nodes_of_all_modules() -> Iterator[ast.AST]:
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            yield from ast.walk(ast.parse(path.read_text("utf-8")))


def error_codes_in_classes() -> list[tuple[ast.ClassDef, str]]:
    """Classes that assign a literal error code, wherever they stand."""
    return [(node, text) for node, text in literals_in_classes() if text.startswith("E-")]


def literals_in_classes() -> Iterator[tuple[ast.ClassDef, str]]:
    for node in nodes_of_all_modules():
        for line in node.body if isinstance(node, ast.ClassDef) else []:
            value = getattr(line, "value", None)
            if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Constant):
                yield node, str(value.value)


def test_message_says_what_was_got_what_is_allowed_and_how_to_mend_it() -> None:
    error = errors.UnitError("unit 'eV' is an energy", "GPa, MPa", "write the value in 'GPa'")
    assert str(error) == "E-UNIT: unit 'eV' is an energy. Allowed: GPa, MPa. To mend it: write the value in 'GPa'."


def test_message_leaves_out_what_is_not_known_and_ends_once() -> None:
    assert str(MatloopError("it broke.")) == "E-MATLOOP: it broke."
    assert (
        str(MatloopError("it broke", fix="did you mean 'x'?")) == "E-MATLOOP: it broke. To mend it: did you mean 'x'?"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_error_crosses_process_borders(kind: type[MatloopError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("a", "b", "c")))  # noqa: S301  # our own object
    assert type(copy) is kind
    assert (copy.got, copy.allowed, copy.fix, str(copy)) == ("a", "b", "c", str(kind("a", "b", "c")))


def test_every_error_class_has_its_own_code_and_says_when() -> None:
    found = error_codes_in_classes()
    assert len(found) >= len(KINDS)
    repeated = [code for code, count in Counter(code for _, code in found).items() if count > 1]
    assert not repeated
    for node, code in found:
        assert CODE.fullmatch(code), code
        assert code not in ROW_CODES, code
        assert "when" in (ast.get_docstring(node) or "").lower(), f"{node.name} does not say when it is raised"


def test_every_row_code_in_the_source_is_explained_and_used() -> None:
    texts = [node.value for node in nodes_of_all_modules() if isinstance(node, ast.Constant)]
    used = Counter(text for text in texts if isinstance(text, str))
    known = set(ROW_CODES) | {code for _, code in error_codes_in_classes()}
    row_code = re.compile(r"E-(FORMULA|STRUCT|FEATURE|MODEL)-[A-Z]+")
    assert {text for text in used if row_code.fullmatch(text)} <= known
    assert {code for code in ROW_CODES if used[code] < 2} == set()  # once in the table, once where it is given


def test_unknown_name_lists_what_is_known_and_the_nearest() -> None:
    error = unknown_name("model", "extra_tree", ["extra_trees", "boosted_trees"])
    assert isinstance(error, UnknownNameError)
    assert error.allowed == "boosted_trees, extra_trees"
    assert error.fix == "did you mean 'extra_trees'?"


def test_unknown_name_without_a_near_one_suggests_nothing() -> None:
    assert unknown_name("model", "qqqqqq", ["extra_trees"]).fix == "choose one of the allowed names"
    assert unknown_name("model", "x", []).allowed == ""

"""docs/campaign.md is what docs/build_campaign.py makes of the code, and says what it should."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from matloop.data.registry import SOURCES
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.registry import FILTERS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_campaign", ROOT / "docs" / "build_campaign.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_current(builder: ModuleType) -> None:
    written = builder.PAGE.read_text("utf-8")
    assert written == builder.page(), "docs/campaign.md is out of date: run `make docs`"


def test_page_explains_every_key_and_every_option(builder: ModuleType) -> None:
    lines = builder.page().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]
    assert not [row[0] for row in rows if not row[-1]], "a key or option without a description"
    assert {f"`{name}`" for name in Campaign.model_fields} <= {row[0] for row in rows}
    assert {f"### `{name}`" for name in [*SOURCES, *FILTERS]} <= set(lines)


def test_docstrings_are_read(builder: ModuleType) -> None:
    text = """Mixes of :class:`~a.b.Metal`.

    A second paragraph.

    Args:
        step: Step, as
            text.

        limit: Most: a number.

    Raises:
        ValueError: Never.
    """
    summary, described = builder.read_docstring(builder.inspect.cleandoc(text))
    assert summary == "Mixes of `Metal`."
    assert described == {"step": "Step, as text.", "limit": "Most: a number."}

"""Properties of a campaign in a file of their own: they become part of the campaign, and problems name both files."""

from pathlib import Path

import pytest

from matloop.screening.campaign.campaign_file import inspect_campaign, inspect_content, read_campaign, write_campaign

CAMPAIGN = """\
name: own
properties: {file}
sources: [embedded]
targets:
  - {{property: shine, goal: maximize, unit: cd/m2}}
surrogates: {{features: [magpie], keep: 10}}
shortlist: {{size: 5}}
"""
LISTED = """\
# what our lamps are measured for
- {name: shine, unit: cd/m2, lower: 0, upper: 1.0e+6, scale: log10}
- name: colour
  unit: K
  lower: 0
  upper: 20000
"""


def campaign(folder: Path, text: str, *, name: str = "lamps.yaml", written: str = "") -> Path:
    (folder / name).write_text(text, "utf-8")
    path = folder / "campaign.yaml"
    path.write_text(CAMPAIGN.format(file=written or name), "utf-8")
    return path


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in inspect_campaign(path).problems]


@pytest.mark.parametrize("under_key", [False, True])
def test_the_properties_become_part_of_the_campaign(under_key: bool, tmp_path: Path) -> None:
    text = "properties:\n" + "".join(f"  {line}\n" for line in LISTED.splitlines()) if under_key else LISTED
    path = campaign(tmp_path, text)
    read = read_campaign(path)
    assert [known.name for known in read.properties] == ["shine", "colour"]
    (tmp_path / "lamps.yaml").unlink()
    (tmp_path / "resolved.yaml").write_text(write_campaign(read), "utf-8")
    assert read_campaign(tmp_path / "resolved.yaml") == read


def test_paths_start_at_the_folder_of_the_campaign(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    campaign(tmp_path, LISTED)
    path = tmp_path / "deeper" / "campaign.yaml"
    path.write_text(CAMPAIGN.format(file="../lamps.yaml"), "utf-8")
    assert len(read_campaign(path).properties) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LISTED.replace("unit: K", "unit: Kel"), "line 2, properties.1: lamps.yaml, line 3: "),
        (LISTED.replace("lower: 0\n", "lowest: 0\n"), "line 2, properties.1.lowest: lamps.yaml, line 5: unknown key"),
        (LISTED.replace("  upper: 20000\n", ""), "line 2, properties.1.upper: lamps.yaml, line 3: is required"),
        (LISTED + "- {name: [\n", "line 2, properties: lamps.yaml, line 8: not valid YAML"),
        ("shine: {unit: cd/m2}\n", "line 2, properties: lamps.yaml: holds no list of properties"),
        ("", "line 2, properties: lamps.yaml: holds no list of properties"),
        ("- &a {name: x}\n", "line 2, properties: lamps.yaml, line 1: not valid YAML: anchors"),
    ],
)
def test_problems_name_the_file_and_its_line(text: str, told: str, tmp_path: Path) -> None:
    found = problems(campaign(tmp_path, text))
    assert any(problem.startswith(told) for problem in found), found


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = campaign(tmp_path, LISTED, written="lamp.yaml")
    assert problems(path) == ["line 2, properties: lamp.yaml: cannot be read: No such file or directory"]
    path = campaign(tmp_path, LISTED, written='"lamps\\0.yaml"')
    assert "line 2, properties: " in problems(path)[0]


def test_a_run_directory_leads_to_no_other_file(tmp_path: Path) -> None:
    path = campaign(tmp_path, LISTED)
    assert inspect_content(path.read_bytes()).campaign is None

"""Every help has an example, and every example is a command line that the command would take."""

import re
import shlex
from collections.abc import Iterator

import pytest
import typer.main
from typer.testing import CliRunner

from matloop.workflows.cli import app

ROOT = typer.main.get_command(app)


def commands(command: object, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each command and group of commands, with the words that call it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


ALL = dict(commands(ROOT))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_help_has_an_example_that_parses(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert shown.exit_code == 0
    epilog = getattr(ALL[words], "epilog", None) or ""
    (example,) = re.findall(r"^Example: (.*)$", epilog, re.MULTILINE)
    assert " ".join(shown.output.split()).count(f"Example: {example}") == 1
    called = shlex.split(example)
    assert called[0] == "matloop"
    assert tuple(called[1 : len(words) + 1]) == words
    command, at = ROOT, 1
    while hasattr(command, "commands"):
        command, at = command.commands[called[at]], at + 1
    command.make_context(called[at - 1], called[at:])  # parses, and calls nothing


def test_a_shell_is_offeredcampaign_names(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    from matloop.workflows.command_line.options import campaign_names

    monkeypatch.chdir(tmp_path)
    (tmp_path / "oxides.yaml").write_text("")
    (tmp_path / "old").mkdir()
    assert campaign_names("o") == ["optical_window", "old/", "oxides.yaml"]
    assert campaign_names("ox") == ["oxides.yaml"]
    assert campaign_names(f"{tmp_path}/ox") == [f"{tmp_path}/oxides.yaml"]

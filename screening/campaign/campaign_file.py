"""Read a campaign file: YAML 1.2 as plain data, with the line of every problem."""

from __future__ import annotations

import difflib
import io
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from matloop.data.errors import CampaignError
from matloop.data.plain_text import counted
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.problem_words import problem_words
from matloop.screening.campaign.yaml_document import LARGEST_CAMPAIGN, Location, YamlDocument, line_of, read_yaml

_REQUIRED = "is required"
_CODE = re.compile(r"E(-[A-Z0-9]+)+: ")
_PROPERTIES = "properties"
_NO_MAPPING = "the file must be a mapping of campaign keys to values"


class Problem(NamedTuple):
    """One problem of a campaign.

    Attributes:
        line: Line in the file, counted from 1; 0 where the file as a whole is meant.
        where: Path to the entry, for example ``targets.0.unit``.
        message: Says what the file contains, what is allowed, and how to mend it.
    """

    line: int
    where: str
    message: str

    def __str__(self) -> str:
        places = [f"line {self.line}"] * (self.line > 0) + [self.where] * bool(self.where)
        return f"{', '.join(places)}: {self.message}" if places else self.message

    def coded(self) -> Problem:
        """The problem with a message that begins with a code, as every error does."""
        return self if _CODE.match(self.message) else self._replace(message=f"{CampaignError.code}: {self.message}")


class CampaignText(NamedTuple):
    """A campaign as read, with its problems.

    Attributes:
        campaign: The campaign; None if the problems prevent one.
        problems: Problems of form.
        lines: Line of every entry.
        slips: Lines that hold what may be a slip of typing. They matter only where the same line has a problem.
    """

    campaign: Campaign | None
    problems: list[Problem]
    lines: dict[Location, int]
    slips: tuple[Problem, ...] = ()

    def line_of(self, location: Location) -> int:
        """Return the line of an entry, or of the nearest enclosing one."""
        return line_of(self.lines, location)


def read_campaign(path: str | Path) -> Campaign:
    """Read the campaign in a file.

    Raises:
        CampaignError: Listing every problem with its line.
    """
    text = inspect_campaign(path)
    if text.campaign is None:
        raise campaign_error(path, text.problems)
    return text.campaign


def campaign_error(path: str | Path, problems: Sequence[Problem]) -> CampaignError:
    """Make one error for all problems of a file."""
    listed = "; ".join(str(problem) for problem in problems)
    told = counted(len(problems), "problem")
    return CampaignError(f"{Path(path).name} has {told}: {listed}", fix=f"matloop validate {shlex.quote(str(path))}")


def inspect_campaign(path: str | Path) -> CampaignText:
    """Read a file and collect every problem of form; nothing is raised for a bad file."""
    try:
        content = _content(Path(path))
    except OSError as error:
        return _unreadable(f"cannot read {path}: {error.strerror}")
    return inspect_content(content, folder=Path(path).parent)


def inspect_content(content: bytes, *, folder: Path | None = None) -> CampaignText:
    """:func:`inspect_campaign` of a file that was read already.

    Args:
        content: Of the campaign file.
        folder: Where the path of a file with properties starts; None if the campaign must hold them itself.
    """
    document = read_yaml(content)
    slips = [Problem(number, "", message) for number, message in document.slips]
    if document.problems:
        return CampaignText(None, [Problem(line, "", message) for line, message in document.problems], document.lines)
    if not isinstance(document.data, Mapping):
        return CampaignText(None, slips or _unreadable(_NO_MAPPING).problems, {})
    written: dict[Any, Any] = dict(document.data)
    properties = _OwnFile("", YamlDocument(None, {}), ())
    if isinstance(written.get(_PROPERTIES), str) and folder is not None:
        properties = _own_properties(folder, written[_PROPERTIES])
        line = document.line_of((_PROPERTIES,))
        if properties.document.problems:
            told = [Problem(line, _PROPERTIES, properties.at(*problem)) for problem in properties.document.problems]
            return CampaignText(None, told, document.lines)
        written[_PROPERTIES] = properties.listed
    try:
        return CampaignText(Campaign.model_validate(written), [], document.lines, tuple(slips))
    except ValidationError as error:
        found = _without_followers(error.errors(include_url=False))
        problems = [properties.told(_problem(details, document.lines), tuple(details["loc"])) for details in found]
        return CampaignText(None, _with_slips(sorted(problems), slips), document.lines)


class _OwnFile(NamedTuple):
    """A file with the properties of a campaign.

    Attributes:
        name: As the campaign names it; empty where the campaign holds its properties itself.
        document: Content of the file.
        place: Where in it the list of properties stands.
    """

    name: str
    document: YamlDocument
    place: Location

    @property
    def listed(self) -> Any:
        """The properties."""
        return self.document.data[_PROPERTIES] if self.place else self.document.data

    def at(self, line: int, message: str) -> str:
        """A message with the place that it is about."""
        return f"{self.name}, line {line}: {message}" if line else f"{self.name}: {message}"

    def told(self, problem: Problem, location: Location) -> Problem:
        """A problem of the campaign; of a property in this file it names file and line."""
        if not self.name or location[:1] != (_PROPERTIES,):
            return problem
        return problem._replace(message=self.at(self.document.line_of((*self.place, *location[1:])), problem.message))


def _own_properties(folder: Path, written: str) -> _OwnFile:
    """Read the file with properties that a campaign names: a list, alone or under the key ``properties``."""
    try:
        document = read_yaml(_content(folder / os.path.expanduser(written)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return _OwnFile(written, YamlDocument(None, {}, (), ((0, f"cannot be read: {reason}"),)), ())
    data = document.data
    under_key = isinstance(data, Mapping) and list(data) == [_PROPERTIES]
    if not document.problems and not isinstance(data[_PROPERTIES] if under_key else data, list):
        problem = (0, "holds no list of properties; write one property in each item, as '- {name: ..., unit: ...}'")
        document = document._replace(problems=(problem,))
    return _OwnFile(written, document, (_PROPERTIES,) if under_key else ())


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_CAMPAIGN + 1)


def _with_slips(problems: list[Problem], slips: list[Problem]) -> list[Problem]:
    """The slips of typing that lie behind problems, and the problems that come from none of them.

    Behind a slip stand the problems of its line, and keys that are missing because YAML did not see them.
    """
    lines = {slip.line for slip in slips} & {problem.line for problem in problems}
    if not lines:
        return problems
    own = [problem for problem in problems if problem.line not in lines and problem.message != _REQUIRED]
    return sorted([*own, *(slip for slip in slips if slip.line in lines)])


def _without_followers(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The errors of a validation without those of a list that is too short because one of its items has an error."""
    places = [details["loc"] for details in found]
    return [
        details
        for details in found
        if details["type"] != "too_short"
        or not any(
            len(place) > len(details["loc"]) and place[: len(details["loc"])] == details["loc"] for place in places
        )
    ]


def _unreadable(message: str, line: int = 0) -> CampaignText:
    return CampaignText(None, [Problem(line, "", message)], {})


def _problem(details: Mapping[str, Any], lines: dict[Location, int]) -> Problem:
    location: Location = tuple(details["loc"])
    if details["type"] == "extra_forbidden":
        message = _unknown_key(location)
    elif details["type"] == "missing":
        message = _REQUIRED
    elif details["type"] == "invalid_key":
        message = f"a key is text (got the key {location[-1]})"
    else:
        message = problem_words(details)
    return Problem(line_of(lines, location), ".".join(str(part) for part in location), message)


def _unknown_key(location: Location) -> str:
    model: Any = Campaign
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"allowed: {', '.join(known)}"
    return f"unknown key '{location[-1]}'; {hint}"


def write_campaign(campaign: Campaign) -> str:
    """The campaign as YAML with every default written out; reading it back gives the same campaign."""
    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.representer.ignore_aliases = lambda _: (
        True
    )  # a value that occurs twice is written twice: reading refuses aliases
    yaml.representer.add_representer(str, _represent_text)
    yaml.dump(campaign.model_dump(mode="json"), buffer)
    return buffer.getvalue()


def _represent_text(representer: Any, text: str) -> Any:
    """Unprintable characters are escaped: plain style would lose a next-line character."""
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')

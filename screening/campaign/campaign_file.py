"""Read a campaign file: YAML 1.2 as plain data, with the line of every problem."""

from __future__ import annotations

import difflib
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.tokens import (
    AliasToken,
    AnchorToken,
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    DirectiveToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
)

from matloop.data.errors import CampaignError
from matloop.data.plain_text import counted
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.problem_words import problem_words
from matloop.screening.campaign.typing_slips import find_slips, windows_paths

LARGEST_CAMPAIGN = 200_000  # bytes
_DEEPEST = 20
_MOST_TOKENS = 50_000
_OPENING = (BlockMappingStartToken, BlockSequenceStartToken, FlowMappingStartToken, FlowSequenceStartToken)
_REQUIRED = "is required"
_LONGEST_NUMBER = 300  # digits
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)

_CODE = re.compile(r"E(-[A-Z0-9]+)+: ")

Location = tuple[str | int, ...]


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
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 0)


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
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_CAMPAIGN + 1)
    except OSError as error:
        return _unreadable(f"cannot read {path}: {error.strerror}")
    return inspect_content(content)


def inspect_content(content: bytes) -> CampaignText:
    """:func:`inspect_campaign` of a file that was read already."""
    if len(content) > LARGEST_CAMPAIGN:
        return _unreadable(f"the file has more than {LARGEST_CAMPAIGN} bytes")
    try:
        text = content.decode("utf-8-sig")
        if long := re.search(rf"[0-9_]{{{_LONGEST_NUMBER + 1},}}", text):
            digits, line = len(long[0]), text.count("\n", 0, long.start()) + 1
            return _unreadable(f"a number of {digits:,} digits; the longest has {_LONGEST_NUMBER}", line)
        _refuse_needless_syntax(text)
        node = YAML(typ="safe", pure=True).compose(text)
        lines = _lines(node)
        data = YAML(typ="safe", pure=True).load(text)
    except UnicodeDecodeError as error:
        return _unreadable(f"the file is not UTF-8 (byte {error.start}); save it as UTF-8")
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        reason = f"not valid YAML: {error.problem or error.context}"
        if isinstance(error, _NeedlessSyntaxError) or not (slips := _slips(text)):
            return _unreadable(reason, line)
        return CampaignText(None, slips, {})
    except (YAMLError, ValueError, RecursionError) as error:
        return _unreadable(f"not usable as YAML data: {error}")
    if not isinstance(data, Mapping):
        slips = _slips(text)
        return (
            CampaignText(None, slips, {})
            if slips
            else _unreadable("the file must be a mapping of campaign keys to values")
        )
    if paths := [Problem(number, "", message) for number, message in windows_paths(text)]:
        return CampaignText(None, paths, lines)
    try:
        return CampaignText(Campaign.model_validate(data), [], lines, tuple(_slips(text)))
    except ValidationError as error:
        found = _without_followers(error.errors(include_url=False))
        problems = [_problem(details, CampaignText(None, [], lines)) for details in found]
        return CampaignText(None, _with_slips(sorted(problems), _slips(text)), lines)


def _slips(text: str) -> list[Problem]:
    return [Problem(number, "", message) for number, message in find_slips(text)]


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


class _NeedlessSyntaxError(MarkedYAMLError):
    """When a file holds what no campaign needs."""


def _refuse_needless_syntax(text: str) -> None:
    """Refuse syntax for which a campaign has no use.

    ``%YAML 1.1`` would make ``No`` false and ``1e-3`` text; a few aliases make a bomb. Depth and size are looked at
    here because composing the nodes of a hostile file takes long.
    """
    depth = 0
    for count, token in enumerate(YAML(typ="safe", pure=True).scan(text)):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST or count > _MOST_TOKENS:
            message = f"nested more than {_DEEPEST} levels deep" if depth > _DEEPEST else "too large"
        elif isinstance(token, DirectiveToken):
            message = "directives (%...) are not allowed; a campaign file is YAML 1.2"
        elif isinstance(token, AnchorToken | AliasToken):
            message = "anchors (&name) and aliases (*name) are not allowed; write the value out"
        else:
            continue
        raise _NeedlessSyntaxError(problem=message, problem_mark=token.start_mark)


def _lines(root: Node | None) -> dict[Location, int]:
    """Find the line of every entry."""
    lines: dict[Location, int] = {}
    pending: list[tuple[Location, Any]] = [((), root)] if root is not None else []
    while pending:
        location, node = pending.pop()
        lines.setdefault(location, node.start_mark.line + 1)
        if isinstance(node, MappingNode):
            for key, value in node.value:
                lines[(*location, str(key.value))] = key.start_mark.line + 1
                pending.append(((*location, str(key.value)), value))
        elif isinstance(node, SequenceNode):
            pending.extend(((*location, index), value) for index, value in enumerate(node.value))
    return lines


def _problem(details: Mapping[str, Any], text: CampaignText) -> Problem:
    location: Location = tuple(details["loc"])
    if details["type"] == "extra_forbidden":
        message = _unknown_key(location)
    elif details["type"] == "missing":
        message = _REQUIRED
    elif details["type"] == "invalid_key":
        message = f"a key is text (got the key {location[-1]})"
    else:
        message = problem_words(details)
    return Problem(text.line_of(location), ".".join(str(part) for part in location), message)


def _unknown_key(location: Location) -> str:
    model: Any = Campaign
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    known = list(model.model_fields)
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

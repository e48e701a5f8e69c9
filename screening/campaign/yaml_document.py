"""Read YAML 1.2 as plain data, with the line of every entry. Whoever wrote the file is not trusted."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

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

from matloop.data.deep_parsing import parsing_deeply
from matloop.screening.campaign.typing_slips import find_slips, windows_paths

LARGEST_CAMPAIGN = 200_000  # bytes
_DEEPEST = 20
_MOST_TOKENS = 50_000
_OPENING = (BlockMappingStartToken, BlockSequenceStartToken, FlowMappingStartToken, FlowSequenceStartToken)
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)
_LONGEST_NUMBER = 300  # digits

Location = tuple[str | int, ...]
"""Keys and numbers that lead to an entry."""


class YamlDocument(NamedTuple):
    """Content of a YAML file.

    Attributes:
        data: Plain data.
        lines: Line of every entry.
        slips: Lines that hold what may be a slip of typing. They matter only where the same line has a problem.
        problems: Line and message of what makes the file unreadable; line 0 where the file as a whole is meant.
    """

    data: Any
    lines: dict[Location, int]
    slips: tuple[tuple[int, str], ...] = ()
    problems: tuple[tuple[int, str], ...] = ()

    def line_of(self, location: Location) -> int:
        """Return the line of an entry, or of the nearest enclosing one."""
        return line_of(self.lines, location)


def line_of(lines: dict[Location, int], location: Location) -> int:
    """Return the line of an entry, or of the nearest enclosing one; 0 where there is none.

    >>> line_of({(): 1, ("targets",): 4}, ("targets", 0, "unit"))
    4
    """
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 0)


def read_yaml(content: bytes) -> YamlDocument:
    """Read the content of a YAML file; nothing is raised for a bad one."""
    if len(content) > LARGEST_CAMPAIGN:
        return _unreadable(f"the file has more than {LARGEST_CAMPAIGN} bytes")
    try:
        text = content.decode("utf-8-sig")
        if long := re.search(rf"[0-9_]{{{_LONGEST_NUMBER + 1},}}", text):
            digits, line = len(long[0]), text.count("\n", 0, long.start()) + 1
            return _unreadable(f"a number of {digits:,} digits; the longest has {_LONGEST_NUMBER}", line)
        _refuse_needless_syntax(text)
        with parsing_deeply():
            lines = _lines(YAML(typ="safe", pure=True).compose(text))
            data = YAML(typ="safe", pure=True).load(text)
    except UnicodeDecodeError as error:
        return _unreadable(f"the file is not UTF-8 (byte {error.start}); save it as UTF-8")
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        reason = f"not valid YAML: {error.problem or error.context}"
        if isinstance(error, _NeedlessSyntaxError) or not (slips := tuple(find_slips(text))):
            return _unreadable(reason, line)
        return YamlDocument(None, {}, slips, slips)
    except (YAMLError, ValueError, RecursionError) as error:
        return _unreadable(f"not usable as YAML data: {error}")
    return YamlDocument(data, lines, tuple(find_slips(text)), tuple(windows_paths(text)))


def _unreadable(message: str, line: int = 0) -> YamlDocument:
    return YamlDocument(None, {}, (), ((line, message),))


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

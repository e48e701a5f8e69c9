"""Check the options that a campaign gives to a registered thing, by name and by type, before the thing is made.

What an option takes is read from the annotations of the class or function, so whoever registers a thing gets the check
without a line of code. A parameter without an annotation takes any value.
"""

from __future__ import annotations

import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from matloop.data.errors import CampaignError, UnknownNameError, unknown_name
from matloop.data.plain_text import one_line

_LONGEST_SHOWN = 80
_PLAIN = (bool, int, float, str, type(None), Path)
_REQUIRED = inspect.Parameter.empty
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_options(
    name: str, factory: Callable[..., Any], options: Mapping[str, Any], *, argument: Any = None
) -> None:  # fmt: skip
    """Check that a registered thing can be made with what a campaign says of it.

    Numbers are finite and not given as text, truth values are no numbers, and a list stands for any sequence. Whether a
    number lies in its range is for the thing itself to say.

    Args:
        name: Name of the thing.
        factory: Callable that makes it.
        options: Values by name of the option.
        argument: Value of the first option where the campaign gives it without its name.

    Raises:
        UnknownNameError: For an unknown option, or text that is none of the allowed ones, with the nearest known name.
        CampaignError: If an option is missing or has a value of another type.

    >>> from matloop.data.generators.alloy_grid import AlloyGrid
    >>> check_options("alloy_grid", AlloyGrid, {"elements": ["Fe", "Ni"], "limit": "9"})
    Traceback (most recent call last):
    ...
    matloop.data.errors.CampaignError: E-CAMPAIGN: option 'limit' of alloy_grid is "9". Allowed: a whole number...
    """
    parameters = parameters_of(factory)
    given = dict(options)
    if argument is not None:
        given[_first_option(name, parameters, argument)] = argument
    check_names(name, factory, given)
    known = {parameter.name: parameter for parameter in parameters}
    missing = [parameter.name for parameter in parameters if parameter.default is _REQUIRED]
    for option in missing:
        if option not in given:
            raise CampaignError(
                f"{name} without its option '{option}'",
                f"{name} with {_listed(missing)}",
                f"write {name}: {{{option}: ...}}, where ... is {_words(known[option].annotation)}",
            )
    for option in given.keys() & known.keys():
        _check_value(name, known[option], given[option])


def check_names(name: str, factory: Callable[..., Any], options: Iterable[str]) -> None:
    """Check that a thing knows the options that it is given; one that takes any further option knows all.

    Args:
        name: Name of the thing.
        factory: Callable that makes it.
        options: Names of the options.

    Raises:
        UnknownNameError: With the nearest known option.
    """
    stated = _stated_parameters(factory)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in stated):
        return
    known = [parameter.name for parameter in stated if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if not known:
            raise UnknownNameError(f"unknown option of {name} '{option}'", "no options", f"write '{name}' alone")
        if option not in known:
            raise unknown_name(f"option of {name}", str(option), known)


def parameters_of(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    """Options of a registered thing with their types; types that are not at hand at run time stay text.

    A class that states no constructor has no options, also where a protocol gives it one that takes anything.
    """
    return [parameter for parameter in _stated_parameters(factory) if parameter.kind not in _ANY]


def _stated_parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    """All parameters in the signature of a registered thing."""
    if inspect.isclass(factory) and getattr(factory.__init__, "__module__", "typing") == "typing":
        return []
    try:
        signature = inspect.signature(factory, eval_str=True)
    except NameError:
        signature = inspect.signature(factory)
    except ValueError:  # compiled code need not state one
        return []
    return list(signature.parameters.values())


def _first_option(name: str, parameters: Sequence[inspect.Parameter], argument: Any) -> str:
    """Name of the option that a value without a name stands for."""
    if not parameters:
        raise CampaignError(f"{name} with the value {_shown(argument)}", "no value", f"write '{name}' alone")
    first = parameters[0]
    if first.kind is first.KEYWORD_ONLY:
        raise CampaignError(
            f"{name} with the value {_shown(argument)}, which belongs to no option",
            f"values with the name of their option: {', '.join(parameter.name for parameter in parameters)}",
            f"write {name}: {{{first.name}: {_example(first)}}}, for example",
        )
    return first.name


def _check_value(name: str, parameter: inspect.Parameter, value: Any) -> None:
    """Refuse a value that is not of the type that a parameter states."""
    annotation, what = parameter.annotation, f"option '{parameter.name}' of {name}"
    unusable = next((part for part in _parts(value) if not _is_of_a_campaign(part)), None)
    if unusable is not None and not isinstance(unusable, float) and not hasattr(unusable, "isoformat"):
        return  # an object that was made in Python; no campaign file holds one
    if unusable is None and _fits(annotation, value):
        return
    choices = _choices(annotation)
    if choices and isinstance(value, str):
        near = unknown_name(what, value, choices)
        raise UnknownNameError(f"{what} is {_shown(value)}", near.allowed, near.fix)
    nature = f"{_shown(value)}, which is no finite number" if isinstance(unusable, float) else _shown(value)
    raise CampaignError(f"{what} is {nature}", _words(annotation), _mend(parameter, value))


def _fits(annotation: Any, value: Any) -> bool:
    """Whether a value is of a type; every value is of a type that cannot be checked."""
    if annotation is _REQUIRED or isinstance(annotation, str):
        return True
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError):  # the type of another package
        return True
    try:
        adapter.validate_json(_as_json(value), strict=True)
    except ValidationError:
        return False
    return True


def _mend(parameter: inspect.Parameter, value: Any) -> str:
    """How to write a value that fits: the same one in another form if there is one, or else the default."""
    fitting = (other for other in _other_forms(value) if _fits(parameter.annotation, other))
    other = next(fitting, None)
    if other is not None:
        return f"write {parameter.name}: {_as_json(other)}"
    if isinstance(parameter.default, _PLAIN) and parameter.default is not None:
        return f"write {parameter.name}: {_example(parameter)}, for example"
    return "change the value; docs/campaign.md describes every option"


def _other_forms(value: Any) -> Iterator[Any]:
    """What may be meant by a value of a wrong type."""
    if isinstance(value, str):
        for read in (int, float):
            try:
                number = read(value)
            except ValueError:
                continue
            if math.isfinite(number):
                yield number
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if isinstance(value, list | tuple) and len(value) == 1 and not isinstance(value[0], list | tuple):
        yield value[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield str(value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        yield [value]


def _example(parameter: inspect.Parameter) -> str:
    """A value that an option takes: its default where that says something, or else words in angle brackets."""
    if isinstance(parameter.default, _PLAIN) and parameter.default is not None:
        return _as_json(parameter.default)
    return f"<{_words(parameter.annotation)}>"


def _words(annotation: Any) -> str:
    """What a type allows, in words for people who write campaigns.

    >>> _words(int | None), _words(Sequence[str]), _words(Mapping[str, Sequence[float]])
    ('a whole number, or null', 'a list of texts', 'keys with values, each value a list of numbers')
    """
    choices = _choices(annotation)
    if choices:
        return f"one of {', '.join(choices)}"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return ", or ".join(dict.fromkeys(_words(one) for one in inner))
    simple = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "text"}
    if annotation in simple:
        return simple[annotation]
    if annotation is type(None):
        return "null"
    kind = origin or annotation
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return "keys with values" + (f", each value {_words(inner[1])}" if inner and inner[1] is not Any else "")
    if inspect.isclass(kind) and issubclass(kind, Sequence | set | frozenset):
        return f"a list of {_plural(_words(inner[0]))}" if inner else "a list"
    return "what its documentation says"


def _plural(words: str) -> str:
    simple = {"text": "texts", "true or false": "truth values", "what its documentation says": "values"}
    first, *others = words.split(", or ")
    plural = simple.get(
        first, f"{first.removeprefix('a ')}s" if first.startswith("a ") and " of " not in first else first
    )
    return ", or ".join([plural, *(_plural(other) for other in others)])


def _choices(annotation: Any) -> list[str]:
    """The texts that a type allows, if it allows no others."""
    return [str(choice) for choice in typing.get_args(annotation)] if typing.get_origin(annotation) is Literal else []


def _parts(value: Any) -> Iterator[Any]:
    """A value and all that is in it."""
    pending = [value]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, Mapping):
            pending += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            pending += part


def _is_of_a_campaign(part: Any) -> bool:
    """Whether a campaign file can hold a value as it is: text, finite numbers, truth values, lists and mappings."""
    if isinstance(part, float):
        return math.isfinite(part)
    return isinstance(part, (*_PLAIN, list, tuple, Mapping))


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _shown(value: Any) -> str:
    """A value as a campaign writes it, cut if it is long."""
    written = one_line(_as_json(value)).replace("NaN", "nan").replace("Infinity", "inf")
    return written if len(written) <= _LONGEST_SHOWN else f"{written[:_LONGEST_SHOWN]}..."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)

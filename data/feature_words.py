"""Features in words: how a featurizer names its columns for people, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, get_args

from matloop.data.label import Label

FeatureKind = Literal["quantity", "flag", "index", "named"]


class FeatureWords(NamedTuple):
    """A feature in words.

    Statistics of one quantity are collinear: how a model shares a contribution among them is chance. So contributions
    are added up over a group of features, and the group has a name of its own.

    Attributes:
        group: Group within which contributions are added up; features of the same English group belong together, also
            across featurizers.
        label: The feature itself, as after "high" (``mean electronegativity``).
        kind: ``quantity`` is said to be low or high; ``flag`` is set or not; ``index`` is a number that is no quantity,
            such as that of a space group; ``named`` has a name for each of its values.
        values: What a value is called: 1 and 0 of a flag, every whole number of a named feature.
        unit: Of a quantity, as printed behind its value; empty where it has none.
    """

    group: Label
    label: Label
    kind: FeatureKind = "quantity"
    values: Mapping[int, Label] = {}  # never written to
    unit: str = ""

    def to_json(self) -> list[Any]:
        """Plain JSON values."""
        values = {str(key): list(label) for key, label in self.values.items()}
        return [list(self.group), list(self.label), self.kind, values, self.unit]

    @classmethod
    def from_json(cls, content: list[Any]) -> Self:
        """Read the result of :meth:`to_json`.

        Raises:
            ValueError: If it is something else.

        >>> words = FeatureWords(Label("symmetry", "对称性"), Label("space group number", "空间群序号"), "index")
        >>> FeatureWords.from_json(words.to_json()) == words
        True
        """
        group, label, kind, values, unit = content
        named = {int(key): _label(value) for key, value in dict(values).items()}
        words = cls(_label(group), _label(label), kind, named, str(unit))
        if reason := words.problem():
            raise ValueError(reason)
        return words

    def problem(self) -> str:
        """Describe the problem of the words; empty if they can be shown in both languages.

        >>> FeatureWords(Label("size", "大小"), Label("density", "")).problem()
        'the label lacks words in a language'
        """
        if self.kind not in get_args(FeatureKind):
            return f"the kind {self.kind!r} is none of {', '.join(get_args(FeatureKind))}"
        if self.kind == "flag" and not {0, 1} <= self.values.keys():
            return "a flag has no words for 0 and 1"
        if self.kind == "named" and not self.values:
            return "no value of a named feature has a name"
        values = [("value", label) for label in self.values.values()]
        for what, label in [("group", self.group), ("label", self.label), *values]:
            if not all(text.strip() for text in label):
                return f"the {what} lacks words in a language"
        return ""


def flag_words(group: Label, label: Label, *, present: Label, absent: Label) -> FeatureWords:
    """Make the words of a yes-or-no feature.

    Args:
        group: Group within which its contribution is added up.
        label: The question.
        present: Meaning if the flag is set.
        absent: Meaning if it is not set.
    """
    return FeatureWords(group, label, "flag", {1: present, 0: absent})


def unworded(name: str, group: str) -> FeatureWords:
    """Return words with which a feature has its own name in both languages."""
    return FeatureWords(Label(group, group), Label(name, name))


def _label(content: Any) -> Label:
    english, chinese = content
    return Label(str(english), str(chinese))

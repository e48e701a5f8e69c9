"""Families small enough for tests, registered there under names of their own."""

from typing import Any, ClassVar

from matloop.models.families.extra_trees import ExtraTrees


class FewTrees(ExtraTrees):
    family: ClassVar[str] = "few_trees"

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trees": 20, **options})


class Stump(ExtraTrees):
    """Splits nothing off: predicts the mean, so that any choice by error prefers another family."""

    family: ClassVar[str] = "stump"

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trees": 5, "smallest_leaf": 60, **options})

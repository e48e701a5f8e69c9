"""Masses of precursors for a batch, with their purity and the excess that makes up for what evaporates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matloop.data.elements import require_elements
from matloop.data.errors import SynthesisError
from matloop.data.synthesis.amounts import molar_mass, read_amounts
from matloop.data.synthesis.precursors import find_precursor
from matloop.data.synthesis.reactions import Reaction

MOST_GRAMS = 1e6
MOST_EXCESS = 1.0


class Batch(NamedTuple):
    """What a batch shall be.

    Attributes:
        grams: Mass of the target.
        purity: Mass fraction of each precursor that is the precursor, by formula; 1 where it is not named.
        excess: Excess of each element as a share, by symbol, for what evaporates: 0.05 for 5 %.
    """

    grams: float
    purity: Mapping[str, float] = {}
    excess: Mapping[str, float] = {}


class WeighedPrecursor(NamedTuple):
    """Mass of one precursor.

    Attributes:
        formula: Of the precursor.
        grams: To weigh.
        moles: Of the pure substance, excess included.
        purity: Mass fraction that was reckoned with.
        excess: Share that was added.
    """

    formula: str
    grams: float
    moles: float
    purity: float
    excess: float


def read_batch(grams: float, purity: Sequence[str] = (), excess: Sequence[str] = ()) -> Batch:
    """Check what somebody asks for.

    Args:
        grams: Mass of the target.
        purity: Such as ``BaCO3=99.5%`` or ``BaCO3=0.995``.
        excess: Such as ``Li=5%``.

    Raises:
        SynthesisError: If a number is out of its range, or one name has several.
        UnknownNameError: For a precursor or an element that there is not.

    >>> read_batch(10, ["BaCO3=99.5%"], ["Li=5%"])
    Batch(grams=10, purity={'BaCO3': 0.995}, excess={'Li': 0.05})
    """
    if not (math.isfinite(grams) and 0 < grams <= MOST_GRAMS):
        raise SynthesisError(f"a batch of {grams} g", f"more than 0 and at most {MOST_GRAMS:,.0f} g")
    purities = _each_once([(find_precursor(name).formula, share) for name, share in map(_share, purity)])
    for name, share in purities.items():
        if not 0 < share <= 1:
            raise SynthesisError(f"purity {share:g} of {name}", "more than 0 and at most 1, or 100 %")
    shares = _each_once([_share(text) for text in excess])
    require_elements(list(shares))
    for name, share in shares.items():
        if not 0 <= share <= MOST_EXCESS:
            raise SynthesisError(f"excess {share:g} of {name}", f"0 to {MOST_EXCESS:.0%}")
    return Batch(grams, purities, shares)


def _each_once(shares: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Shares by name; a second share of one name would silently take the place of the first."""
    repeated = [name for name, count in Counter(name for name, _ in shares).items() if count > 1]
    if repeated:
        raise SynthesisError(f"several shares of {', '.join(repeated)}", "one share of each")
    return dict(shares)


def _share(text: str) -> tuple[str, float]:
    """Name and share of ``Li=5%`` or ``Li=0.05``."""
    name, _, number = text.partition("=")
    try:
        value = float(number.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not name.strip() or not math.isfinite(value):
        raise SynthesisError(f"'{text}'", "a name, an equals sign and a share, such as Li=5% or Li=0.05")
    return name.strip(), value / 100 if number.strip().endswith("%") else value


def weigh(reaction: Reaction, batch: Batch) -> list[WeighedPrecursor]:
    """Masses for a batch: m = n nu M (1 + excess) / purity, n being the moles of the target.

    The excess of a precursor is the largest of those of its elements.

    Args:
        reaction: To one mole of the target.
        batch: What the batch shall be.

    >>> from matloop.data.synthesis.routes import find_routes
    >>> reaction = find_routes("BaTiO3").routes[0].reaction
    >>> [(weighed.formula, round(weighed.grams, 3)) for weighed in weigh(reaction, Batch(10))]
    [('BaCO3', 8.462), ('TiO2', 3.425)]
    """
    moles = batch.grams / molar_mass(read_amounts(reaction.target, exact=True))
    weighed = []
    for term in reaction.solids:
        excess = max((batch.excess.get(symbol, 0.0) for symbol in term.amounts), default=0.0)
        purity = batch.purity.get(term.formula, 1.0)
        own = moles * float(term.amount) * (1 + excess)
        weighed.append(WeighedPrecursor(term.formula, own * molar_mass(term.amounts) / purity, own, purity, excess))
    return weighed

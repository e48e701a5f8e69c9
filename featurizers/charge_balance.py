"""The featurizer ``charge_balance``: charge balance and electron counting of a composition.

These are rules that a chemist applies before any calculation. Can the usual charges cancel? What is left on the cations
when the anions have their octets? Is the number of electrons odd? Means of elemental properties do not contain such
sums.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.chemistry.charge_balance import charge_balance, element_roles
from matloop.data.chemistry.oxidation_states import LIKE_ANIONS, METAL_FORMERS, METALS, OXIDATION_STATES
from matloop.data.elements import element_table
from matloop.data.feature_words import FeatureWords, flag_words
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes

_MOST_WAYS = 1000  # more ways to balance the charges carry no further information
_MOST_ELECTRONS = 24.0  # per anion; also the value of alloys, which have no anions
_F_BLOCK = np.r_[57:72, 89:104]  # lanthanum to lutetium, actinium to lawrencium
_SPLIT_FEATURES = (
    "anion share", "anion charge per atom", "charge out of reach per atom", "place in range of cation charges",
    "mean cation charge", "share of cations of several valences", "electronegativity difference",
    "electronegativity step", "outer electrons per atom", "deviation from four outer electrons per atom",
    "outer electrons per anion", "deviation from the octet", "outer electrons left on cations per atom",
    "open d electrons per atom", "lone pair electrons per atom",
)  # fmt: skip
_CHARGE, _COUNT = Label("charge balance", "电荷平衡"), Label("electron count", "电子计数")
_CONTRAST = Label("electronegativity", "电负性")
_FLAGS: Mapping[str, FeatureWords] = {
    "charges balance": flag_words(
        _CHARGE, Label("charges balance", "电荷平衡"),
        present=Label("charges that balance", "电荷可平衡"),
        absent=Label("charges that do not balance", "电荷无法平衡"),
    ),
    "metallic composition": flag_words(
        _CHARGE, Label("metals only", "仅含金属元素"),
        present=Label("having metals only", "仅含金属元素"), absent=Label("having a nonmetal", "含非金属元素"),
    ),
    "odd electrons": flag_words(
        _COUNT, Label("an odd number of electrons", "电子数为奇数"),
        present=Label("an odd number of electrons", "电子数为奇数"),
        absent=Label("an even number of electrons", "电子数为偶数"),
    ),
}  # fmt: skip
_QUANTITIES: Mapping[str, tuple[Label, str, str]] = {
    "log ways to balance charges": (_CHARGE, "number of ways to balance charges", "电荷平衡方式数"),
    "charge imbalance per atom": (_CHARGE, "charge imbalance per atom", "每原子电荷失衡"),
    "anion share": (_CHARGE, "share of anions", "阴离子占比"),
    "anion charge per atom": (_CHARGE, "anion charge per atom", "每原子阴离子电荷"),
    "charge out of reach per atom": (_CHARGE, "charge out of reach per atom", "每原子无法达到的电荷"),
    "place in range of cation charges": (_CHARGE, "place in the range of cation charges", "在阳离子电荷范围内的位置"),
    "mean cation charge": (_CHARGE, "mean cation charge", "平均阳离子电荷"),
    "share of cations of several valences": (_CHARGE, "share of cations of several valences", "多价阳离子占比"),
    "electronegativity difference": (
        _CONTRAST, "electronegativity difference of anions and cations", "阴阳离子电负性差"
    ),
    "electronegativity step": (_CONTRAST, "largest step in electronegativity", "电负性最大跳跃"),
    "outer electrons per atom": (_COUNT, "outer electrons per atom", "每原子外层电子数"),
    "deviation from four outer electrons per atom": (
        _COUNT, "deviation from four outer electrons per atom", "与每原子四个外层电子的偏差"
    ),
    "outer electrons per anion": (_COUNT, "outer electrons per anion", "每阴离子外层电子数"),
    "deviation from the octet": (_COUNT, "deviation from the octet", "与八隅体的偏差"),
    "outer electrons left on cations per atom": (
        _COUNT, "outer electrons left on cations per atom", "每原子阳离子剩余外层电子数"
    ),
    "open d electrons per atom": (_COUNT, "open-shell d electrons per atom", "每原子未满 d 壳层电子数"),
    "lone pair electrons per atom": (_COUNT, "lone-pair electrons per atom", "每原子孤对电子数"),
}  # fmt: skip


class ChargeBalanceFeatures(Featurizer):
    """Whether charges can cancel, and where the electrons go: 20 columns.

    Four come from :func:`matloop.data.chemistry.charge_balance.charge_balance`: whether there is a neutral assignment
    of oxidation states, log10(1 + number of them, at most 1000), the smallest imbalance per atom, and whether the
    composition is one of metals. One is the parity of the electrons of the reduced formula (1 odd, 0 even, 0.5 if
    amounts are not whole). An odd number leaves a half-filled band or a moment, unless the cell holds two formulas.

    The others need no search over assignments. The elements are sorted by electronegativity. Those above a cut are
    anions and complete their octets, which requires a total charge Q of the others. Q should lie between the sum of
    their lowest and the sum of their highest oxidation states. The cut is chosen whose Q lies nearest to that range,
    and among equal ones that with most anions (chlorine is an anion in BaVClO3, but not in NaClO4):

    - *charge out of reach*: how far Q lies above the range (positive: the anions lack electrons) or below it (negative:
      the cations keep electrons, as in alloys, Zintl phases and suboxides); *place in range*: 0 at its lower, 1 at its
      upper end;
    - *electronegativity difference*: mean of the anions less mean of the cations; *step*: least electronegative anion
      less most electronegative cation (Pauling's scale);
    - *outer electrons*: s and p electrons of main group elements; s and d of the d block, where a filled d shell counts
      only if nothing is outside it; in the f block what the highest oxidation state takes. Four per atom mark the
      tetrahedral semiconductors (Grimm-Sommerfeld rule), eight per anion the octet (Mooser and Pearson, J. Electron. 1,
      629 (1956)), six per atom the semiconducting Heusler and half-Heusler phases;
    - the electrons that remain on the cations, if each is at the same place in its own range of states: *open d
      electrons* (or holes, whichever are fewer) and *lone pair electrons* of p-block cations.
    """

    name = "charge_balance"
    version = "1"
    needs = frozenset({COMPOSITIONS})
    feature_names = (
        "charges balance", "log ways to balance charges", "charge imbalance per atom", "metallic composition",
        "odd electrons", *_SPLIT_FEATURES,
    )  # fmt: skip

    def __init__(self) -> None:
        self._table = _element_columns()
        self.parameters: Mapping[str, Any] = {"oxidation_states": states_digest()}

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 20)."""
        reduced, whole = batch.compositions.reduced()
        balance = charge_balance(reduced)
        elements = reduced.elements.astype(np.int64)
        values = np.empty((len(batch), len(self.feature_names)))
        values[:, 0] = balance.neutral
        values[:, 1] = np.log10(1.0 + np.minimum(balance.ways, _MOST_WAYS))
        values[:, 2] = balance.imbalance
        values[:, 3] = balance.metallic
        electrons = np.bincount(reduced.rows, elements * reduced.amounts, len(reduced))
        values[:, 4] = np.where(whole, np.rint(electrons) % 2, 0.5)
        values[:, 5:] = _split_features(reduced.offsets, elements, reduced.amounts, self._table)
        missing = np.isnan(values).any(axis=1)
        return Features(values, np.where(missing, "E-FEATURE-NODATA", no_codes(len(batch))))

    def words(self, name: str) -> FeatureWords:
        """Describe a rule, in the group of charges, of electrons or of electronegativities."""
        if name in _FLAGS:
            return _FLAGS[name]
        group, english, chinese = _QUANTITIES[name]
        return FeatureWords(group, Label(english, chinese))


def outer_electrons() -> NDArray[np.float64]:
    """Number of electrons that an atom can give or share, by atomic number, shape (119,); nan if not tabulated.

    >>> from matloop.data.elements import ATOMIC_NUMBERS
    >>> symbols = ("Na", "C", "O", "Ti", "Ni", "Cu", "Zn", "Pd", "Ga", "Nd", "U")
    >>> [int(outer_electrons()[ATOMIC_NUMBERS[symbol]]) for symbol in symbols]
    [1, 4, 6, 4, 10, 1, 2, 10, 3, 3, 6]
    """
    s, p, d, _ = element_table().columns(tuple(f"N{orbital}Valence" for orbital in "spdf")).T
    outer = np.where(p > 0, s + p, s + np.where((d < 10) | (s == 0), d, 0.0))
    outer[104:] = np.nan  # no chemistry is tabulated beyond lawrencium
    outer[_F_BLOCK] = element_roles().cations[_F_BLOCK].max(axis=1)
    return outer


@functools.cache
def _element_columns() -> NDArray[np.float64]:
    """Collect the data of each element that the kernel needs, shape (119, 7).

    The columns are electronegativity, charge of the octet, lowest and highest cation charge (0 if there is none), outer
    electrons, outer electrons including a filled d shell (d block only, else 0), and whether a cation may keep a lone
    pair.
    """
    roles = element_roles()
    positive = np.where(roles.cations > 0, roles.cations, 0)
    highest = positive.max(axis=1)
    lowest = np.where(positive > 0, positive, highest[:, None]).min(axis=1)
    s, p, d, _ = element_table().columns(tuple(f"N{orbital}Valence" for orbital in "spdf")).T
    d_block = (p == 0) & (d > 0) & ~((d == 10) & (s == 2))  # zinc and similar elements keep their ten d electrons
    d_block[_F_BLOCK] = False
    columns = (
        roles.electronegativity,
        roles.anion,
        lowest,
        highest,
        outer_electrons(),
        np.where(d_block, s + d, 0.0),
        p > 0,
    )
    return np.column_stack(columns).astype(np.float64)


@functools.cache
def states_digest() -> str:
    """Hash the table of oxidation states, which is code and so not part of the data in every fingerprint."""
    content = [dict(OXIDATION_STATES), dict(LIKE_ANIONS), sorted(METALS), sorted(METAL_FORMERS)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@numba.njit(cache=True, nogil=True)
def _split_features(offsets, elements, amounts, table):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    values = np.empty((n, 15))
    order = np.empty(200, np.int64)
    for row in range(n):
        start, width = offsets[row], offsets[row + 1] - offsets[row]
        total, electrons = 0.0, 0.0
        for k in range(width):  # insertion sort, most electronegative first
            entry = start + k
            total += amounts[entry]
            electrons += amounts[entry] * table[elements[entry], 4]
            place = k
            while place > 0 and table[elements[order[place - 1]], 0] < table[elements[entry], 0]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = entry
        cut, needed, low, high = 0, 0.0, 0.0, 0.0  # a single element has no charges
        if width > 1:
            cut, needed, low, high = _best_cut(order, width, elements, amounts, table)
        _describe(values[row], order, width, cut, needed, low, high, total, electrons, elements, amounts, table)
    return values


@numba.njit(cache=True, nogil=True)
def _best_cut(order, width, elements, amounts, table):  # type: ignore[no-untyped-def]
    """Find the number of anions, the charge they require, and the lowest and highest charge of the others."""
    low, high = 0.0, 0.0
    for k in range(width):
        low += amounts[order[k]] * table[elements[order[k]], 2]
        high += amounts[order[k]] * table[elements[order[k]], 3]
    best_cut, best_needed, best_low, best_high, best = 0, 0.0, low, high, np.inf
    needed = 0.0
    for k in range(width - 1):
        z, amount = elements[order[k]], amounts[order[k]]
        if table[z, 1] == 0.0:
            break
        needed += amount * table[z, 1]
        low -= amount * table[z, 2]
        high -= amount * table[z, 3]
        distance = max(needed - high, low - needed, 0.0)
        if distance <= best + 1e-9:
            best_cut, best_needed, best_low, best_high, best = k + 1, needed, low, high, distance
    return best_cut, best_needed, best_low, best_high


@numba.njit(cache=True, nogil=True)
def _describe(out, order, width, cut, needed, low, high, total, electrons, elements, amounts, table):  # type: ignore[no-untyped-def]
    place = 1.0
    if high > low + 1e-9:
        place = min(max((needed - low) / (high - low), 0.0), 1.0)
    anions, mean_anion, several, mean_cation, left, open_d, lone = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(width):
        z, amount = elements[order[k]], amounts[order[k]]
        if k < cut:
            anions += amount
            mean_anion += amount * table[z, 0]
            continue
        mean_cation += amount * table[z, 0]
        charge = table[z, 2] + place * (table[z, 3] - table[z, 2])
        several += amount * (table[z, 3] > table[z, 2])
        left += amount * max(table[z, 4] - charge, 0.0)
        if table[z, 5] > 0.0:
            inner = max(table[z, 5] - charge, 0.0)
            open_d += amount * max(min(inner, 10.0 - inner), 0.0)
        elif table[z, 6] > 0.0:
            lone += amount * min(max(table[z, 4] - charge, 0.0), 2.0)
    cations = total - anions
    out[0] = anions / total
    out[1] = needed / total
    out[2] = (max(needed - high, 0.0) - max(low - needed, 0.0)) / total
    out[3] = place
    out[4] = needed / cations
    out[5] = several / cations
    out[6] = mean_anion / anions - mean_cation / cations if cut > 0 else 0.0
    out[7] = table[elements[order[cut - 1]], 0] - table[elements[order[cut]], 0] if cut > 0 else 0.0
    out[8] = electrons / total
    out[9] = abs(electrons / total - 4.0)
    out[10] = min(electrons / anions, _MOST_ELECTRONS) if cut > 0 else _MOST_ELECTRONS
    out[11] = min(abs(out[10] - 8.0), 8.0)
    out[12] = left / total
    out[13] = open_d / total
    out[14] = lone / total

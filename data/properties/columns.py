"""The name of every column of a candidate table, with its type, unit and meaning.

No other module writes these names. So a misspelt key fails when a module is imported, and not after an hour of
computing.

>>> Column.HULL_DISTANCE, Column.HULL_DISTANCE.unit
(<Column.HULL_DISTANCE: 'hull_distance'>, 'eV/atom')
>>> property_column("band_gap", "pred"), probability_of("band_gap")
('band_gap_pred', 'probability_band_gap')
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

Type = Literal["text", "number", "whole number", "truth", "list of numbers", "list of whole numbers"]


class Column(StrEnum):
    """A column that does not belong to one property. Each key is text, so every table library takes it as a name.

    Attributes:
        type: Kind of the values. A number may be stored in single or double precision.
        unit: Unit of the values as :mod:`matloop.data.properties.units` writes it; ``1`` where they have none.
        description: Meaning of a value.
    """

    type: Type
    unit: str
    description: str

    def __new__(cls, name: str, type: Type, unit: str, description: str) -> Self:
        """A key that is text and carries what is known about the column."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.type, member.unit, member.description = type, unit, description
        return member

    # Identity of a candidate.
    CANDIDATE_ID = "candidate_id", "text", "1", "Content hash of the candidate."
    FORMULA = "formula", "text", "1", "Reduced formula, or the text that should have been one."
    ORIGIN = "origin", "text", "1", "Name of the candidate in its source, or what it was made from."
    KNOWN = "known", "truth", "1", "Whether the compound is known already."
    KNOWN_TO = "known_to", "text", "1", "Which lists of known compositions hold it, separated by commas."
    MATERIAL_ID = "material_id", "text", "1", "Materials Project identifier."
    ENTRY_ID = "entry_id", "text", "1", "Identifier of an entry in the database it was fetched from."
    ENTRY_ENERGY = "entry_energy", "number", "eV", "Energy that a structure file states for its atoms, uncorrected."
    ENTRY_ENERGY_PER_ATOM = "entry_energy_per_atom", "number", "eV/atom", "The same divided by the number of atoms."
    ENTRY_CORRECTION_PER_ATOM = (
        "entry_correction_per_atom", "number", "eV/atom", "Correction that the file states for this energy.",
    )  # fmt: skip
    ENTRY_CORRECTED_ENERGY_PER_ATOM = (
        "entry_corrected_energy_per_atom", "number", "eV/atom", "Energy with the correction that the file states.",
    )  # fmt: skip
    ENTRY_SETTINGS = (
        "entry_settings", "text", "1", "Functional, +U and pseudopotentials that the file states, as JSON.",
    )  # fmt: skip
    OWN_HULL = (
        "own_hull", "text", "1", "Phases of the own hull into which it would decompose, or why there are none.",
    )  # fmt: skip
    SPACE_GROUP_NUMBER = "space_group_number", "whole number", "1", "Number of the space group, 1 to 230."
    PROTOTYPE = "prototype", "text", "1", "Prototype crystal that was decorated."
    PARENT_ID = "parent_id", "text", "1", "Identifier of the known crystal in which ions were substituted."
    SUBSTITUTION_PROBABILITY = (
        "substitution_probability", "number", "1", "Probability of the substitution by the statistics of known pairs.",
    )  # fmt: skip
    RELATIVE_SUBSTITUTION_PROBABILITY = (
        "relative_substitution_probability", "number", "1",
        "The same over that of the most probable crystal which the source makes with this composition.",
    )  # fmt: skip
    ELEMENTS = "elements", "list of whole numbers", "1", "Atomic number of each element of the composition."
    AMOUNTS = "amounts", "list of numbers", "1", "Amount of each element of the composition."
    LATTICE = "lattice", "list of numbers", "Å", "Cell row vectors a, b, c."
    SPECIES = "species", "list of whole numbers", "1", "Atomic number of each site."
    FRAC_COORDS = "frac_coords", "list of numbers", "1", "Fractional coordinates x, y, z of each site after another."

    # Fate of a candidate.
    OUTCOME = "outcome", "text", "1", "What became of the row in this stage."
    STAGE = "stage", "text", "1", "Part of the stage that decided the outcome."
    CODE = "code", "text", "1", "Code of the reason why the row ended here; empty where it goes on."
    VALUE = "value", "text", "1", "What was met, such as an element or a probability."
    LIMIT = "limit", "text", "1", "What was allowed."
    SOURCE = "source", "text", "1", "Who says so: a filter, a property, a potential or another candidate."
    DETAIL = "detail", "text", "1", "What more is known about the reason."
    ROW = "row", "whole number", "1", "Place of a refused row in the input."
    INPUT_ROW = "input_row", "whole number", "1", "The same beside the fate of the row; empty for candidates."

    # Scores and choice.
    PROBABILITY = (
        "probability", "number", "1",
        "Probability that all targets are met, at most as much as calibration rows support.",
    )  # fmt: skip
    RANKING_SCORE = (
        "ranking_score", "number", "1",
        "Orders candidates of equal probability: what it would be beyond calibration. Not a probability.",
    )  # fmt: skip
    CAPPED_TARGETS = (
        "capped_targets", "text", "1",
        "Targets whose probability is the largest that calibration rows support; a + joins those met together.",
    )  # fmt: skip
    MAKEABLE_PROBABILITY = (
        "makeable_probability", "number", "1",
        "Probability that a database of the next years lists a compound of this composition, near its hull.",
    )  # fmt: skip
    PROBABILITY_MAKEABLE = (
        "probability_makeable_phase", "number", "1",
        "Probability of a makeable phase, which counts for the energy above hull in that of all targets.",
    )  # fmt: skip
    INSULATOR_VALUE = (
        "insulator_value", "number", "eV", "Predicted band gap if the candidate is an insulator.",
    )  # fmt: skip
    INSULATOR_PROBABILITY = (
        "insulator_probability", "number", "1", "Probability that a candidate has a band gap at all, by composition.",
    )  # fmt: skip
    IN_DOMAIN = "in_domain", "truth", "1", "Whether the candidate lies inside the domain of every surrogate."
    PROBABILITY_BEFORE_RELAXING = (
        "probability_before_relaxing", "number", "1", "Probability that all targets are met, before the relaxation.",
    )  # fmt: skip
    EXPECTED_MISSES = (
        "expected_misses", "number", "1", "Expected share of misses among the candidates down to this rank.",
    )  # fmt: skip
    TRADEOFF_SCORE = (
        "tradeoff_score", "number", "1",
        "Score from 0 to 1 by which the criterion of the campaign weighs its objectives; without one, there is none.",
    )  # fmt: skip
    PARETO_FRONT = (
        "pareto_front", "whole number", "1", "Number of its Pareto front among the ranked candidates, from 1.",
    )  # fmt: skip
    NON_DOMINATED = (
        "non_dominated_probability", "number", "1",
        "Probability that no other ranked candidate is at least as good in every objective and better in one.",
    )  # fmt: skip
    LISTED_WHEN_MOVED = (
        "listed_when_moved", "number", "1",
        "Share of moves of one weight or limit by 20 % in which it is on the shortlist; empty where none can move.",
    )  # fmt: skip
    WORST_RANK = "worst_rank", "whole number", "1", "Last rank that it has in these moves."
    RANK = "rank", "whole number", "1", "Place among the ranked candidates, from 1."
    SHORTLISTED = "shortlisted", "whole number", "1", "Place on the shortlist, from 1; 0 where it was not chosen."
    NOVELTY = "novelty", "text", "1", "What is new about a finalist."

    # Facts about the elements; empty where a fact of one of them is not known.
    SUPPLY_RISK = "supply_risk", "number", "1", "Concentration of the production of its elements by country, 0 to 1."
    PRICE_PER_KILOGRAM = (
        "price_per_kilogram", "number", "USD/kg", "Price of the elements of a kilogram as they are sold.",
    )  # fmt: skip
    PRICE_PER_MOLE = "price_per_mole", "number", "USD/mol", "Price of the elements of a mole of formula units."
    CRITICAL_SHARE_EU = "critical_share_eu", "number", "1", "Mass share of critical elements by the list of the EU."
    CRITICAL_SHARE_US = (
        "critical_share_us", "number", "1", "Mass share of critical elements by the list of the United States.",
    )  # fmt: skip
    RECYCLABILITY = "recyclability", "number", "1", "Share of its metals that is recycled at the end of life."

    # Results of a potential.
    RELAXATION_OUTCOME = "relaxation_outcome", "text", "1", "How the relaxation ended."
    RELAXATION_ENERGY_START = "relaxation_energy_start", "number", "eV/atom", "Energy before the relaxation."
    RELAXATION_ENERGY = "relaxation_energy", "number", "eV/atom", "Energy at the end of the relaxation."
    RELAXATION_VOLUME_CHANGE = "relaxation_volume_change", "number", "1", "Relative change of the cell volume."
    RELAXATION_LARGEST_FORCE = (
        "relaxation_largest_force", "number", "eV/Å", "Largest force on an atom at the end of the relaxation.",
    )  # fmt: skip
    RELAXATION_STEPS = "relaxation_steps", "whole number", "1", "Number of steps of the relaxation."
    RELAXATION_SECONDS = "relaxation_seconds", "number", "s", "Time that the relaxation took."
    SECOND_ENERGY = (
        "second_energy", "number", "eV/atom", "Energy of the relaxed crystal by the second potential of the campaign.",
    )  # fmt: skip
    RELAXATION_CODE = "relaxation_code", "text", "1", "Why the relaxation gave no energy."
    RELAXATION_DETAIL = "relaxation_detail", "text", "1", "What more is known about that."
    RELAXATION_RATTLE_GAIN = (
        "relaxation_rattle_gain", "number", "eV/atom",
        "Energy by which the relaxed crystal fell after a small random displacement of its atoms; 0 where it stayed.",
    )  # fmt: skip
    SPACE_GROUP_BEFORE_RATTLE = (
        "space_group_before_rattle", "whole number", "1",
        "Number of the space group from which the crystal fell into another one; empty where it did not.",
    )  # fmt: skip
    PHONON_LOWEST = (
        "phonon_lowest", "number", "THz",
        "Lowest frequency of the lattice vibrations that fit the supercell; negative where it is imaginary.",
    )  # fmt: skip
    PHONON_IMAGINARY = "phonon_imaginary", "truth", "1", "Whether that frequency is imaginary beyond numerical noise."
    PHONON_POINT = "phonon_point", "text", "1", "Wave vector of that vibration in reciprocal primitive vectors."
    PHONON_SUPERCELL = "phonon_supercell", "text", "1", "Repeats of the primitive cell, such as 2 x 2 x 2."
    PHONON_CODE = "phonon_code", "text", "1", "Why there are no frequencies; empty where there are."
    PHONON_DETAIL = "phonon_detail", "text", "1", "What more is known about that."
    HULL_DISTANCE = (
        "hull_distance", "number", "eV/atom",
        "Energy above the convex hull of computed phases, with the energy by the potential.",
    )  # fmt: skip
    HULL_PRODUCTS = "hull_products", "text", "1", "Phases into which the candidate would decompose."
    HULL_REFERENCE_PHASES = (
        "hull_reference_phases", "whole number", "1", "Number of reference phases of the elements of the candidate.",
    )  # fmt: skip
    HULL_COVERAGE = (
        "hull_coverage", "number", "1", "Share of the known compositions of the elements that have a reference phase.",
    )  # fmt: skip
    HULL_KNOWN_COMPOSITIONS = (
        "hull_known_compositions", "whole number", "1", "Number of known compositions of the candidate's elements.",
    )  # fmt: skip
    HULL_WITHOUT_ENERGY = (
        "hull_without_energy", "text", "1",
        "Known compositions of the elements without a reference phase, at most ten.",
    )  # fmt: skip
    HULL_SPANS_SYSTEM = (
        "hull_spans_system", "truth", "1", "Whether a reference phase holds all elements of the candidate.",
    )  # fmt: skip
    HULL_INCOMPLETE = (
        "hull_incomplete", "text", "1",
        "What shows that reference phases are missing: element_products, far_below; empty if nothing does.",
    )  # fmt: skip
    HULL_DISTANCE_SECOND = (
        "hull_distance_second", "number", "eV/atom", "Energy above the same hull by the second potential.",
    )  # fmt: skip
    HULL_DISTANCE_OWN = (
        "hull_distance_own", "number", "eV/atom",
        "Energy above the hull of crystals by the potential alone, a second opinion.",
    )  # fmt: skip
    FORMATION_CORRECTION = (
        "formation_energy_correction", "number", "eV/atom",
        "What corrections of elements beside oxygen or fluorine add to the formation energy by a potential.",
    )  # fmt: skip

    # What gives cause to look at a candidate twice.
    FLAGS = (
        "flags", "text", "1",
        "Codes of what gives cause to look twice, separated by commas; empty where nothing does, null where not asked.",
    )  # fmt: skip
    OXIDATION_STATES = (
        "assigned_oxidation_states", "text", "1",
        "Oxidation state of each element; empty where no assignment is neutral.",
    )  # fmt: skip
    OPEN_SHELL = (
        "open_shell", "text", "1", "Ions with an open d or f shell and the electrons in it; empty without such.",
    )  # fmt: skip
    BOND_VALENCE_SUMS = (
        "bond_valence_sums", "text", "1",
        "Bond-valence sums of the sites of each element in valence units, smallest and largest.",
    )  # fmt: skip
    INSTABILITY_INDEX = (
        "instability_index", "number", "1",
        "Global instability index: root mean square of bond-valence sum minus charge, in valence units.",
    )  # fmt: skip
    VALENCE_MISFITS = (
        "valence_misfits", "text", "1", "Ions whose bond-valence sum is far from their charge, with that sum.",
    )  # fmt: skip
    LONE_PAIR_SWAPS = (
        "lone_pair_swaps", "text", "1",
        "Swaps of a cation with a lone pair for one without, or the reverse, and how far off centre the new ion is.",
    )  # fmt: skip
    ORDERED_SLICE = (
        "ordered_slice_of", "text", "1",
        "Two cations that could share sites; share of the rarer one; compound with one of them; how far off.",
    )  # fmt: skip
    INDEX_BY_POLARISABILITIES = (
        "refractive_index_by_polarisabilities", "number", "1",
        "Refractive index from composition and volume alone, by additive polarisabilities.",
    )  # fmt: skip
    INDEX_DISAGREEMENT = (
        "refractive_index_disagreement", "text", "1",
        "Index by the surrogate and by polarisabilities, where they differ by more than the error of the latter.",
    )  # fmt: skip


ENTRY_COLUMNS = tuple(key for key in Column if key.name.startswith("ENTRY_") and key.type == "number")
"""What a structure file may state about its crystal."""

RELAXATION_COLUMNS = tuple(key for key in Column if key.name.startswith("RELAXATION_"))
"""What a relaxation says of each crystal."""

PHONON_COLUMNS = tuple(key for key in Column if key.name.startswith("PHONON_"))
"""What is said of the lattice vibrations of each finalist."""

ELEMENT_SCORE_COLUMNS = (
    Column.SUPPLY_RISK, Column.PRICE_PER_KILOGRAM, Column.PRICE_PER_MOLE, Column.CRITICAL_SHARE_EU,
    Column.CRITICAL_SHARE_US, Column.RECYCLABILITY,
)  # fmt: skip
"""Scores of each ranked composition that rest on facts about its elements."""

CHEMISTRY_COLUMNS = (
    Column.OXIDATION_STATES, Column.OPEN_SHELL, Column.BOND_VALENCE_SUMS, Column.INSTABILITY_INDEX,
    Column.VALENCE_MISFITS, Column.LONE_PAIR_SWAPS, Column.ORDERED_SLICE, Column.INDEX_BY_POLARISABILITIES,
    Column.INDEX_DISAGREEMENT,
)  # fmt: skip
"""What is said of the chemistry of each ranked candidate."""

Suffix = Literal["dft", "exp", "computed", "pred", "sigma", "lo", "hi", "selected_lo", "selected_hi"]
"""What a column says of its property: a label (computed or measured), or a prediction with its width and ends."""

SUFFIXES: dict[Suffix, str] = {
    "dft": "Computed value.",
    "exp": "Measured value.",
    "computed": "Predicted value on the scale of computed labels, beside a prediction on that of measured ones.",
    "pred": "Predicted value: the median of the predictive distribution.",
    "sigma": "Half the width of the central 68.3 % interval.",
    "lo": "Lower end of the 90 % interval.",
    "hi": "Upper end of the 90 % interval; infinite, or missing beside a lower end, where nothing bounds it.",
    "selected_lo": "Lower end of the 90 % interval, given that the candidate was picked.",
    "selected_hi": "Upper end of the 90 % interval, given that the candidate was picked.",
}
"""Suffix -> description; the unit is that of the property."""


def property_column(name: str, suffix: Suffix) -> str:
    """Name of a column of one property.

    Args:
        name: Name of the property.
        suffix: Part of the name that tells the meaning of the column.
    """
    return f"{name}_{suffix}"


def probability_of(name: str) -> str:
    """Name of the column with the probability that the target of one property is met."""
    return f"{Column.PROBABILITY}_{name}"


def unit_of(name: str) -> str:
    """Name of the column with the unit of one property, in tables that leave matloop."""
    return f"{name}_unit"

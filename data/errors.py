"""Errors a user may meet: each says what was got, what is allowed and how to mend it, under a stable code.

Two kinds exist. A :class:`MatloopError` stops what was asked (a campaign that cannot be read). A row code
(:data:`ROW_CODES`) belongs to one candidate and never stops anything: the candidate is rejected or quarantined for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import ClassVar

from matloop.data.plain_text import plain

_LONG_WORD = re.compile(r"(\S{200})\S{200,}(\S{60})")
"""A name that fills a screen, such as a path of thousands of characters, is shortened where it is told."""


class MatloopError(Exception):
    """Root of all errors raised on purpose; when none of the named ones below fits.

    Args:
        got: What was met, in the user's own words or values.
        allowed: What would have been accepted.
        fix: How to mend it.
    """

    code: ClassVar[str] = "E-MATLOOP"
    exit_code: ClassVar[int] = 1
    in_run: bool = False
    """Whether a run was being worked on; only then a later job may do better."""

    def __init__(self, got: str, allowed: str = "", fix: str = "") -> None:
        super().__init__(got, allowed, fix)  # positional, so that the error crosses process borders intact
        self.got, self.allowed, self.fix = got, allowed, fix

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.got}"]
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}")
        if self.fix:
            parts.append(f"To mend it: {self.fix}")
        text = _LONG_WORD.sub(r"\1...\2", plain(". ".join(part.rstrip(".") for part in parts)))
        return text if text.endswith("?") else text + "."


class UnknownNameError(MatloopError):
    """When a source, featurizer, model, filter, property or unit is asked for by a name nobody registered."""

    code = "E-NAME-UNKNOWN"


class PlugInError(MatloopError):
    """When what another package brings cannot be used; the named cases are below."""

    code = "E-PLUG-IN"


class PlugInImportError(PlugInError):
    """When the module of another package that an entry point names cannot be imported, or lacks what it names."""

    code = "E-PLUG-IN-IMPORT"


class PlugInDoubleError(PlugInError):
    """When two packages bring a thing of one kind under one name."""

    code = "E-PLUG-IN-DOUBLE"


class PlugInFailedError(PlugInError):
    """When something that a campaign names fails while candidates are handed to it."""

    code = "E-PLUG-IN-FAILED"


class PlugInContractError(PlugInError):
    """When what another package brings lacks a part of the contract of its kind."""

    code = "E-PLUG-IN-CONTRACT"


class NotAllowedError(MatloopError):
    """When a campaign would run code that its user has not allowed."""

    code = "E-NOT-ALLOWED"


class ContractError(MatloopError):
    """When a contract check finds that a source, featurizer or filter breaks a clause of its contract."""

    code = "E-CONTRACT"


class UnitError(MatloopError):
    """When a value carries no unit, a unit outside the closed table, or one of another dimension."""

    code = "E-UNIT"


class PropertyError(MatloopError):
    """When a property is defined against the rules of the catalogue, or under a name that is taken."""

    code = "E-PROPERTY"


class ProvenanceError(MatloopError):
    """When the provenance of a label is not written as a method with, where known, its functional or laboratory."""

    code = "E-PROVENANCE"


class DatasetError(MatloopError):
    """When a packaged data file is missing or is not the file its recorded hash belongs to."""

    code = "E-DATASET-HASH"


class InputFileError(MatloopError):
    """When a file handed in by the user cannot be read as what it is said to be."""

    code = "E-INPUT-FILE"


class DamagedFileError(MatloopError):
    """When a file is not what was written: no regular file, larger or deeper than allowed, or of another form."""

    code = "E-FILE-DAMAGED"


class FileAccessError(DamagedFileError):
    """When the file system fails while a file is read, or forbids it; the file itself may be whole."""

    code = "E-FILE-ACCESS"
    exit_code = 4


class SnapshotError(MatloopError):
    """When a snapshot of a database is not what was written, or a fetch would mix two queries in one."""

    code = "E-SNAPSHOT"


class ProviderError(MatloopError):
    """When a database on the network refuses a question, stays out of reach or answers with what it may not."""

    code = "E-PROVIDER"


class ProviderKeyError(ProviderError):
    """When a database on the network asks for a key and there is none, or not one it accepts."""

    code = "E-PROVIDER-KEY"


class GeneratorError(MatloopError):
    """When a generator is set up so that it could make nothing, or names what it does not know."""

    code = "E-GENERATOR"


class SubstitutionError(MatloopError):
    """When no replacement can be searched for: the element is not in the material, or what is kept is unclear."""

    code = "E-SUBSTITUTION"


class BatchError(MatloopError):
    """When arrays or columns that should describe the same candidates do not fit together."""

    code = "E-BATCH-SHAPE"


class TrainingSetError(MatloopError):
    """When a training set's parts do not fit together, or it cannot teach what is asked of it."""

    code = "E-TRAINING-SET"


class FeaturizerError(MatloopError):
    """When a featurizer cannot be set up as asked."""

    code = "E-FEATURIZER"


class CampaignError(MatloopError):
    """When a campaign cannot be read or contradicts itself; lists every problem with its line."""

    code = "E-CAMPAIGN"


class SynthesisError(MatloopError):
    """When a target, a precursor, a mass, a purity or a loss is asked for that no recipe can be made of."""

    code = "E-SYNTHESIS"


class ThresholdError(MatloopError):
    """When a threshold leaves no hit among labels, or makes a hit of most of them."""

    code = "E-BENCH-THRESHOLD"


class ModelError(MatloopError):
    """When a surrogate is trained, loaded or asked outside its contract."""

    code = "E-MODEL"


class RowWeightsError(ModelError):
    """When rows of training data have weights that are no positive numbers, or that a model family does not take."""

    code = "E-MODEL-WEIGHTS"


class MissingColumnsError(ModelError):
    """When the features lack columns that a model family finds by their names and cannot do without."""

    code = "E-MODEL-COLUMNS"


class FingerprintError(ModelError):
    """When a model is handed features other than the ones it was trained on."""

    code = "E-MODEL-FINGERPRINT"


class GuardError(MatloopError):
    """When the process that guards against crashes and hangs cannot be started."""

    code = "E-GUARD"


class RunError(MatloopError):
    """When a run directory cannot be used as asked, or the counts of a run do not add up."""

    code = "E-RUN"


class MainGuardError(RunError):
    """When a script starts a run outside of ``if __name__ == "__main__":``, so that its workers would run it again."""

    code = "E-RUN-GUARD"


class FateError(RunError):
    """When rows of a run have no fate, or more than one: its results must not be trusted then."""

    code = "E-RUN-FATES"


class LockedError(RunError):
    """When another process works on the run directory."""

    code = "E-RUN-LOCKED"


class LockLostError(RunError):
    """When a process that was suspended for long finds that another one took its run over."""

    code = "E-RUN-LOCK-LOST"


class WorkersLostError(RunError):
    """When no workers arrive, all of them vanish, or the scheduler does; the run can be resumed."""

    code = "E-RUN-WORKERS"
    exit_code = 3


class DiskFullError(RunError):
    """When there is no room for a file; the run can be resumed."""

    code = "E-RUN-DISK"
    exit_code = 4


class RunFilesError(RunError):
    """When the file system of a run directory fails or forbids what a run needs; the run can be resumed."""

    code = "E-RUN-FILES"
    exit_code = 4


class RunFolderError(RunFilesError):
    """When the folder of a new run cannot be made where it is asked for: there is nothing to resume."""

    code = "E-RUN-FOLDER"
    exit_code = 1


class RunChangedError(RunError):
    """When a run would go on with another campaign, other code or other input than it began with."""

    code = "E-RUN-CHANGED"


class PotentialError(MatloopError):
    """When an interatomic potential is not installed, its weights are not the released ones, or it breaks its rules."""

    code = "E-POTENTIAL"


class CapabilityError(PotentialError):
    """When an interatomic potential is asked for something that it does not offer, such as an embedding."""

    code = "E-POTENTIAL-CAPABILITY"


class DiffractionError(MatloopError):
    """When a powder pattern of a crystal is too large to be computed."""

    code = "E-DIFFRACTION"


class RecordsError(MatloopError):
    """When a records database cannot be opened, or refuses what is asked of it."""

    code = "E-RECORDS"


class ProposalError(MatloopError):
    """When no batch can be chosen: no candidate is left, or what is asked of it contradicts itself."""

    code = "E-PROPOSAL"


class RecordsConnectionError(RecordsError):
    """When the server or the file of a records database is out of reach; nothing was written, it can be tried again."""

    code = "E-RECORDS-CONNECTION"
    exit_code = 4


class RecordsVersionError(RecordsError):
    """When the tables of a records database are of a version that this program does not know."""

    code = "E-RECORDS-VERSION"


class EnergySourceError(MatloopError):
    """When energies from two sources (functionals, potentials or versions of one) would meet in one convex hull."""

    code = "E-HULL-SOURCE"


RELATIVE_PATHS = "look at the path; in a campaign a relative one starts at the folder of the campaign file"
"""How to mend the path of a file that is not there."""

ROW_CODES: dict[str, str] = {
    "E-FORMULA-EMPTY": "the formula is empty",
    "E-FORMULA-SYNTAX": "the text is not a chemical formula",
    "E-FORMULA-ELEMENT": "the formula names something that is not an element (D, T and Xx are not; write H for D)",
    "E-FORMULA-AMOUNT": "an amount is zero, too large or not a number",
    "E-FORMULA-AMBIGUOUS": "the formula has two readings or a likely slip (0 for O); write it without dots and blanks",
    "E-TABLE-RAGGED": "the row has more or fewer cells than the table has columns",
    "E-TABLE-CELL": "the cell of the formula is a number, a date or a truth value; format the column as text",
    "E-TABLE-NUMBER": "a cell of a property column holds something that is not a finite number",
    "E-STRUCT-NONFINITE": "the cell or a coordinate is not a finite number, or a coordinate exceeds a million cells",
    "E-STRUCT-ELEMENT": "a site holds something that is not one of the elements 1 to 118",
    "E-STRUCT-CELL": "lattice planes along an axis are less than 0.1 angstroms apart; reduce the skewed cell",
    "E-STRUCT-VOLUME": "the volume per atom is outside 2 to 2000 cubic angstroms",
    "E-STRUCT-SIZE": "the cell has no sites or more than 500",
    "E-STRUCT-DISORDER": "a site is partially or jointly occupied",
    "E-STRUCT-DISTANCE": "two atoms are closer than 0.5 angstroms, or than 0.9 where neither is hydrogen",
    "E-STRUCT-NOCELL": "there is no three-dimensional periodic cell (a molecule, a slab or a fragment)",
    "E-STRUCT-NOATOMS": "there is a cell, but no atoms with fractional coordinates",
    "E-STRUCT-SYMBOLS": "the file does not say which elements its atoms are",
    "E-STRUCT-SYMMETRY": "the symmetry is stated in a way that gives no symmetry operations",
    "E-STRUCT-OCCUPANCY": "an occupancy is negative, or those of a site add up to more than one",
    "E-STRUCT-FORMULA": "the atoms do not add up to the formula the file states (often hydrogen that was not located)",
    "E-FILE-FORMAT": "the file is no CIF, POSCAR, extended XYZ or XSF, and no JSON of pymatgen or OPTIMADE",
    "E-FILE-EMPTY": "the file is empty",
    "E-FILE-TOO-LARGE": "the file is larger than allowed, packed or unpacked, or declares more atoms than it can hold",
    "E-FILE-ENCODING": "the file is not text in UTF-8, UTF-16 or Latin-1",
    "E-FILE-SYNTAX": "the file breaks the rules of its format, or ends too early",
    "E-FILE-UNREADABLE": "the file cannot be opened",
    "E-FILE-CHANGED": "the file changed while the candidates were read",
    "E-FILE-MEMBER": "the archive member is a link or a device, or its name leads out of the archive",
    "E-GUARD-TIMEOUT": "the candidate took too long and was given up",
    "E-GUARD-CRASH": "the candidate ended the process that handled it",
    "E-GUARD-MEMORY": "the candidate asked for more memory than allowed",
    "E-FEATURE-NODATA": "an element has no entry in the elemental property table",
    "E-FEATURE-NONFINITE": "a feature is not a finite number",
    "E-FEATURE-FAILED": "the featurizer refused this candidate",
    "E-FEATURE-TIMEOUT": "a feature of the candidate took too long and was given up",
    "E-FEATURE-CRASH": "a feature of the candidate ended the process that computed it",
    "E-FEATURE-MEMORY": "a feature of the candidate asked for more memory than allowed",
    "E-FEATURE-BLOCK": "the feature needs data that the candidate does not have",
    "E-FEATURE-CRYSTAL": "the feature needs a crystal and the candidate has only a composition",
    "E-MODEL-ELEMENT": "an element never occurred in the training data of a surrogate",
    "E-MODEL-CONDITION": "a condition is missing or beyond the labels, or no label of the material is near it",
    "E-POTENTIAL-CRYSTAL": "the potential needs a crystal and the candidate has only a composition",
    "E-POTENTIAL-ELEMENT": "the potential was not trained on one of the elements",
    "E-POTENTIAL-ISOLATED": "an atom has no neighbour within the cutoff of the potential",
    "E-POTENTIAL-SIZE": "the crystal has more bonds or angles than the potential is allowed to hold in memory",
    "E-POTENTIAL-FAILED": "the potential or the optimiser raised an error for this crystal",
    "E-POTENTIAL-TIMEOUT": "the relaxation took too long and was given up",
    "E-POTENTIAL-CRASH": "the relaxation ended the process that ran it",
    "E-POTENTIAL-MEMORY": "the relaxation asked for more memory than allowed",
    "E-POTENTIAL-NONFINITE": "the potential gave an energy, force or stress that is not a finite number",
    "E-HULL-ENERGY": "the candidate has no energy to compare with the convex hull",
    "E-HULL-ELEMENT": "the reference phases of the convex hull lack one of the elements in its pure form",
}
"""Row code -> what it means. Literal, so that a code once published keeps its meaning."""


_MOST_LISTED = 40


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An :class:`UnknownNameError` with the nearest known name.

    >>> print(unknown_name("featurizer", "magpi", ["magpie", "density"]))
    E-NAME-UNKNOWN: unknown featurizer 'magpi'. Allowed: density, magpie. To mend it: did you mean 'magpie'?
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    fix = f"did you mean '{close[0]}'?" if close else "choose one of the allowed names"
    allowed = ", ".join(names) if len(names) <= _MOST_LISTED else f"one of {len(names)} names"
    return UnknownNameError(f"unknown {kind} '{name}'", allowed, fix)

"""Where the workers of a run are: on this machine, in jobs of a batch queue, or at a Dask scheduler that runs already.

In a campaign::

    cluster: local
    cluster: {kind: slurm, interface: ib0, queue: long, walltime: "4:00:00", memory: 4GB}
    cluster: {kind: existing, address: "tls://10.0.0.1:8786", ca_file: ca.pem, certificate: me.pem, key: me.key}

Nothing here changes a result; a run may continue with settings that differ from those it began with.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from matloop.data.errors import CampaignError, UnitError
from matloop.data.properties.durations import read_walltime, write_walltime
from matloop.screening.campaign.frozen_model import FrozenModel

Kind = Literal["local", "slurm", "pbs", "lsf", "sge", "existing"]
QUEUED = ("slurm", "pbs", "lsf", "sge")

WORD = r"^[A-Za-z0-9][A-Za-z0-9._@:+,-]{0,79}$"
"""Queues, accounts and interfaces: nothing that a batch script or a command line would take for something else."""
MEMORY = r"^[0-9]{1,6} ?(MB|GB|MiB|GiB)$"
ADDRESS = r"^(tls|tcp)://[^\s/]{1,200}$"
DIRECTIVE = r"^[ -~]{1,200}$"
WALLTIME = r"^[0-9]{1,5}:[0-5][0-9]:[0-5][0-9]$"


def _read_walltime(written: Any) -> Any:
    """A wall-time in hours, minutes and seconds; what is none is left for the pattern to refuse."""
    try:
        return write_walltime(read_walltime(str(written)))
    except UnitError:
        return written


Walltime = Annotated[str, BeforeValidator(_read_walltime), Field(pattern=WALLTIME)]
"""A wall-time as Slurm writes it; kept as H:MM:SS."""


class ClusterSettings(FrozenModel):
    """Where workers run and how they are reached."""

    kind: Kind = Field("local", description="This machine, a batch queue, or a Dask scheduler that runs already.")
    patience: float = Field(600, gt=0, le=604_800, description="Seconds to wait for a worker before the run gives up.")
    interface: str | None = Field(
        None, pattern=WORD, description="Network interface of the scheduler and workers of a batch queue."
    )
    queue: str | None = Field(None, pattern=WORD, description="Queue or partition for worker jobs.")
    account: str | None = Field(None, pattern=WORD, description="Account or project that pays for worker jobs.")
    walltime: Walltime = Field(
        "1:00:00", description="Wall-time of a worker job, as Slurm writes it: `H:MM:SS`, `D-HH:MM:SS` or minutes."
    )
    memory: str = Field("4GB", pattern=MEMORY, description="Memory of a worker.")
    directives: tuple[Annotated[str, Field(pattern=DIRECTIVE)], ...] = Field(
        (),
        max_length=20,
        description="Further options of worker jobs in the words of the queue, such as `--constraint=milan`.",
    )
    address: str | None = Field(None, pattern=ADDRESS, description="Address of the scheduler: `tls://host:8786`.")
    scheduler_file: str | None = Field(
        None, min_length=1, max_length=4096, description="File in which the running scheduler has written its address."
    )
    ca_file: str | None = Field(None, description="Certificate of the authority for scheduler and workers.")
    certificate: str | None = Field(None, description="Certificate of the run.")
    key: str | None = Field(None, description="Private key of that certificate.")
    allow_insecure: bool = Field(
        False, description="Whether to allow connections without TLS. Whoever reaches the scheduler can then run code."
    )

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.kind in QUEUED and self.interface is None:
            raise ValueError(
                f"kind '{self.kind}' needs an 'interface' that compute nodes can reach, such as ib0; nothing listens "
                "beyond the loopback unless it is named"
            )
        if self.kind == "existing":
            if (self.address is None) == (self.scheduler_file is None):
                raise ValueError("kind 'existing' takes either an 'address' or a 'scheduler_file'")
            if self.address is not None:
                self.check_address(self.address)
        certificates = (self.ca_file, self.certificate, self.key)
        if any(certificates) and not all(certificates):
            raise ValueError("'ca_file', 'certificate' and 'key' go together")
        return self

    def check_address(self, address: str) -> None:
        """Refuse an address without TLS, unless that is asked for.

        Raises:
            ValueError: If the connection would not be encrypted.
        """
        if not address.startswith("tls://") and not self.allow_insecure:
            raise ValueError(
                f"'{address}' goes without TLS: whoever reaches that port can run code as you; use a tls:// address, "
                "or say allow_insecure: true"
            )

    @property
    def walltime_seconds(self) -> int:
        """Wall-time of a worker job in seconds."""
        return read_walltime(self.walltime)


LOCAL = ClusterSettings.model_validate({})
"""Workers on this machine."""


def _read_cluster(written: Any) -> Any:
    return {"kind": written} if isinstance(written, str) else written


Cluster = Annotated[ClusterSettings, BeforeValidator(_read_cluster)]
"""Settings, or just their kind."""


def cluster_confirmed(settings: ClusterSettings, chosen: str | None) -> ClusterSettings:
    """Choose the cluster of a run that goes on, whose directory may come from anybody.

    A scheduler can run code in every process that connects to it. So one that only the run names is not connected to.

    Args:
        settings: Settings in the run directory.
        chosen: What ``--cluster`` names; see :func:`cluster_chosen`.

    Raises:
        CampaignError: If the run names a scheduler and ``--cluster`` names nothing, or the settings do not fit.
    """
    if chosen is None and settings.kind == "existing":
        named = settings.address or settings.scheduler_file
        raise CampaignError(
            f"the run directory names the scheduler {named}, which could run code in this process",
            "a scheduler you trust, or workers on this machine",
            f"repeat the command with --cluster {named}, or with --cluster local",
        )
    return cluster_chosen(settings, chosen)


def cluster_chosen(settings: ClusterSettings, chosen: str | None) -> ClusterSettings:
    """Replace the kind of cluster in the settings of a campaign by the one that ``--cluster`` names.

    Args:
        settings: Settings of the campaign.
        chosen: A kind, the address of a scheduler, or a file with the address of one; None changes nothing.

    Raises:
        CampaignError: If the settings do not fit what is chosen.

    >>> cluster_chosen(ClusterSettings(), "tls://10.0.0.1:8786").kind
    'existing'
    """
    if chosen is None:
        return settings
    changes: dict[str, Any] = {"kind": chosen}
    if "://" in chosen:
        changes = {"kind": "existing", "address": chosen, "scheduler_file": None}
    elif chosen.endswith(".json"):
        changes = {"kind": "existing", "address": None, "scheduler_file": chosen}
    try:
        return ClusterSettings.model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise CampaignError(
            f"--cluster {chosen}: {reason}",
            "local, slurm, pbs, lsf, sge, existing, a tls:// address or the .json file of a scheduler",
            "fill in the section 'cluster' of the campaign",
        ) from error

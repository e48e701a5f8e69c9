import pytest
from pydantic import BaseModel, ValidationError

from matloop.data.errors import CampaignError
from matloop.screening.campaign.cluster_settings import (
    QUEUED,
    Cluster,
    ClusterSettings,
    cluster_chosen,
    cluster_confirmed,
)


class Holder(BaseModel):
    cluster: Cluster = ClusterSettings()


def test_a_bare_name_is_enough() -> None:
    assert Holder().cluster == Holder.model_validate({"cluster": "local"}).cluster == ClusterSettings(kind="local")
    written = Holder.model_validate({"cluster": {"kind": "slurm", "interface": "ib0"}})
    assert Holder.model_validate(written.model_dump(mode="json")) == written


@pytest.mark.parametrize("kind", QUEUED)
def test_nothing_listens_beyond_the_loopback_unless_it_is_named(kind: str) -> None:
    with pytest.raises(ValidationError, match="needs an 'interface'"):
        ClusterSettings(kind=kind)
    assert not ClusterSettings(kind=kind, interface="ib0").allow_insecure


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://127.0.0.1:8786"])
def test_a_scheduler_without_tls_takes_a_flag(address: str) -> None:
    with pytest.raises(ValidationError, match=r"goes without TLS.*allow_insecure: true"):
        ClusterSettings(kind="existing", address=address)
    assert ClusterSettings(kind="existing", address=address, allow_insecure=True).address == address
    assert ClusterSettings(kind="existing", address=address.replace("tcp", "tls")).address


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kind": "existing"}, "either an 'address' or a 'scheduler_file'"),
        ({"kind": "existing", "address": "tls://a:1", "scheduler_file": "s.json"}, "either an 'address'"),
        ({"kind": "existing", "address": "tls://a:1", "key": "my.key"}, "go together"),
        ({"kind": "existing", "address": "10.0.0.1:8786"}, "should match pattern"),
        ({"kind": "existing", "address": "tls://a:1 b"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0; touch x"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "queue": "--uid=0"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "account": "a\nb"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "walltime": "2h"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "memory": "4"}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "directives": ["--hold\ntouch x"]}, "should match pattern"),
        ({"kind": "slurm", "interface": "ib0", "patience": 0}, "greater than 0"),
        ({"kind": "condor"}, "'local', 'slurm', 'pbs', 'lsf', 'sge' or 'existing'"),
        ({"kind": "local", "port": 1}, "not permitted"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ClusterSettings.model_validate(settings)


def test_the_command_line_goes_first() -> None:
    campaign = ClusterSettings(kind="slurm", interface="ib0", queue="long")
    assert cluster_chosen(campaign, None) is campaign
    assert cluster_chosen(campaign, "local").kind == "local"
    chosen = cluster_chosen(campaign, "pbs")
    assert (chosen.kind, chosen.queue) == ("pbs", "long")
    assert cluster_chosen(campaign, "tls://10.0.0.1:8786").address == "tls://10.0.0.1:8786"
    assert cluster_chosen(campaign, "/shared/scheduler.json").scheduler_file == "/shared/scheduler.json"


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ("slurm", "needs an 'interface'"),
        ("existing", "either an 'address'"),
        ("tcp://10.0.0.1:8786", "goes without TLS"),
        ("condor", "Input should be 'local'"),
    ],
)
def test_a_choice_that_does_not_fit_tells_why(chosen: str, reason: str) -> None:
    with pytest.raises(CampaignError, match=f"E-CAMPAIGN: --cluster {chosen}: .*{reason}"):
        cluster_chosen(ClusterSettings(), chosen)


@pytest.mark.parametrize(("written", "seconds"), [("0:01:00", 60), ("1:00:00", 3600), ("100:30:05", 361_805)])
def test_wall_time_in_seconds(written: str, seconds: int) -> None:
    assert ClusterSettings(walltime=written).walltime_seconds == seconds


def test_walltimes_as_slurm_writes_them() -> None:
    assert ClusterSettings(walltime="1-00:00:00").walltime == "24:00:00"
    assert ClusterSettings.model_validate({"walltime": 90}).walltime == "1:30:00"


def test_a_scheduler_that_only_a_run_names_is_not_connected_to() -> None:
    named = ClusterSettings(kind="existing", address="tcp://10.0.0.1:8786", allow_insecure=True)
    with pytest.raises(CampaignError, match=r"could run code in this process.*--cluster tcp://10\.0\.0\.1:8786"):
        cluster_confirmed(named, None)
    assert cluster_confirmed(named, "tcp://10.0.0.1:8786").kind == "existing"
    assert cluster_confirmed(named, "local").kind == "local"
    assert cluster_confirmed(ClusterSettings(), None).kind == "local"

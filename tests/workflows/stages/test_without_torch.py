"""Where torch is not installed, the default choice of families passes the networks over and says how to get them."""

import json
import subprocess
import sys

TRAIN = '''
import importlib.abc, json, sys

class NoTorch(importlib.abc.MetaPathFinder):
    """Makes every import of torch fail, as where it is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, NoTorch())

import numpy as np
from dataclasses import replace
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.screening.campaign.stage_settings import FAMILIES_TO_CHOOSE_FROM
from matloop.workflows.inspecting.validation import campaign_path
from matloop.workflows.stages.training import fit_surrogate

ROWS = np.arange(45)
written = read_campaign(campaign_path("optical_window")).model_dump(mode="json")
written["surrogates"]["features"] = ["element_fraction", "density"]
packaged = Campaign.model_validate(written)
written["surrogates"]["family"] = FAMILIES_TO_CHOOSE_FROM  # without a budget, which a busy machine would exceed
default_choice = Campaign.model_validate(written)
found = {}
for name, asked in (("packaged", packaged), ("default choice", default_choice)):
    for target in asked.targets if name == "packaged" else asked.targets[1:2]:
        labels = packaged_training_set(target.property)
        few = replace(labels, rows=labels.rows.take(ROWS), **{
            part: getattr(labels, part)[ROWS] for part in ("values", "groups", "weights")
        })
        model = fit_surrogate(asked, "surrogates", target, training=few)
        choice = model.card.get("choice", {"tried": []})
        found[f"{name} {target.property}"] = {
            "family": model.card["family"], "outcomes": {each["family"]: each["outcome"] for each in choice["tried"]},
            "finite": bool(np.isfinite(model.out_of_fold_prediction().median).all()),
        }
print(json.dumps(found))
'''
NETWORKS = {"deep_ensemble", "element_attention"}


def test_campaigns_train_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(each["finite"] and each["family"] not in NETWORKS for each in found.values())
    outcomes = found["default choice refractive_index"]["outcomes"]
    for network in NETWORKS:
        assert "torch is not installed" in outcomes[network]
        assert "[potentials]" in outcomes[network]  # what to install
    for family in ("extra_trees", "gaussian_process", "boosted_trees", "mean"):
        assert outcomes[family] == "tried"

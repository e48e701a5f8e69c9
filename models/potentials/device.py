"""The device on which a potential computes: the processor, or a GPU where there is one."""

from __future__ import annotations

import importlib.util
import os

from matloop.data.errors import PotentialError, unknown_name

PROCESSOR = "cpu"
GPU = "cuda"
DEVICES = (PROCESSOR, "auto", GPU)
"""What an option ``device`` may say; ``auto`` is a GPU where there is one, else the processor."""


def chosen_device(asked: str) -> str:
    """Return the device that an option asks for on this machine, ``cpu`` or ``cuda``.

    Args:
        asked: One of :data:`DEVICES`.

    Raises:
        UnknownNameError: If it is another text.
        PotentialError: If a GPU is asked for and there is none that torch can use.

    >>> chosen_device("cpu")
    'cpu'
    """
    if asked not in DEVICES:
        raise unknown_name("device", asked, DEVICES)
    if asked == PROCESSOR:
        return PROCESSOR
    if gpu_is_there():
        return GPU
    if asked == GPU:
        raise PotentialError(
            "device cuda on a machine without a GPU that torch can use", "a GPU and a build of torch for it",
            "write device: auto, which takes the processor here, or leave it out",
        )  # fmt: skip
    return PROCESSOR


def gpu_is_there() -> bool:
    """Return whether torch is installed and can use a GPU."""
    if importlib.util.find_spec("torch") is None:
        return False
    # Otherwise the question would start the GPU's driver here, and processes forked from this one could not use it.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return bool(torch.cuda.is_available())

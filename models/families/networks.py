"""Residual layers for training and prediction, and the training itself, which all networks share.

Weights are plain arrays with the members of an ensemble along the first axis, so that all members train together. The
layers are written once, for arrays and tensors alike. Training needs torch; prediction uses numpy in double precision.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.installation import install_command
from matloop.models.grouped_folds import grouped_folds

Weights = Mapping[str, Any]
Forward = Callable[..., Any]
"""Maps weights, a library of functions and inputs with leading axes (members, rows) to outputs (members, rows, 2)."""

NUMPY = SimpleNamespace(exp=np.exp, log=np.log, clip=np.clip, array=np.asarray)
_LOG_VARIANCE = (-10.0, 4.0)  # of targets with deviation 1
_HELD_OUT_FOLDS = 10
_BETA = 0.5
_TILE = 8
_LARGEST_GRADIENT = 1.0
_SLOPE_ROWS = 512


class Schedule(NamedTuple):
    """Settings of the training.

    Attributes:
        epochs: Largest number of passes over the rows; the rate falls along half a cosine over all of them.
        patience: Number of passes without improvement of any member on its held-out rows after which training stops.
        batch: Number of rows in a step.
        rate: Largest learning rate.
        decay: Weight decay.
    """

    epochs: int
    patience: int
    batch: int
    rate: float
    decay: float


def dense(
    random: np.random.Generator, members: int, size: tuple[int, int], *, gain: float = 2.0
) -> NDArray[np.float32]:
    """Draw weights of a layer with variance gain / inputs (He et al., ICCV 2015), shape (members, inputs, outputs)."""
    return random.normal(scale=np.sqrt(gain / size[0]), size=(members, *size)).astype(np.float32)


def residual_weights(
    random: np.random.Generator, members: int, width: int, blocks: int
) -> dict[str, NDArray[np.float32]]:
    """Draw initial weights of :func:`residual_layers`.

    Raises:
        ModelError: If the width would make predictions depend on the place of a row
            (see :func:`matloop.models.families.inputs.filled_up`).
    """
    if width < _TILE or width % _TILE:
        raise ModelError(f"layers of {width} units", f"a multiple of {_TILE}")
    weights = {}
    for block in range(blocks):
        weights[f"block_{block}_in"] = dense(random, members, (width, width))
        weights[f"block_{block}_in_bias"] = np.zeros((members, 1, width), np.float32)
        weights[f"block_{block}_out"] = dense(random, members, (width, width), gain=0.1)
        weights[f"block_{block}_out_bias"] = np.zeros((members, 1, width), np.float32)
    weights["leave"] = dense(random, members, (width, 2), gain=0.1)
    weights["leave_bias"] = np.zeros((members, 1, 2), np.float32)
    return weights


def residual_layers(hidden: Any, weights: Weights, blocks: int) -> Any:
    """Apply residual blocks (He et al., CVPR 2016) and two outputs: (members, n, width) becomes (members, n, 2)."""
    for block in range(blocks):
        inner = rectified(hidden @ weights[f"block_{block}_in"] + weights[f"block_{block}_in_bias"])
        hidden = hidden + inner @ weights[f"block_{block}_out"] + weights[f"block_{block}_out_bias"]
    return hidden @ weights["leave"] + weights["leave_bias"]


def rectified(values: Any) -> Any:
    """Replace negative values by zero."""
    return values * (values > 0)


def moments(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute mean and total deviation, shape (n, 2), from means and log variances of members (members, n, 2).

    By the law of total variance, the mean of the variances of members (noise) and the variance of their means
    (disagreement) add up (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017).
    """
    means, noise = outputs[..., 0], np.exp(np.clip(outputs[..., 1], *_LOG_VARIANCE))
    return np.column_stack([means.mean(axis=0), np.sqrt(noise.mean(axis=0) + means.var(axis=0))])


def train(
    forward: Forward,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    inputs: Sequence[NDArray[Any]],
    target: NDArray[np.float64],
    groups: NDArray[np.integer],
    schedule: Schedule,
    seed: int,
    row_weights: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Train all members together; each holds out its own tenth of the groups.

    The loss is the Gaussian log-likelihood weighted by the square root of the variance (beta-NLL with beta 0.5; Seitzer
    et al., ICLR 2022). Each member keeps the weights with the smallest absolute error on its held-out rows. Its
    variances are then scaled to be right on average for these rows.

    Args:
        forward: The network.
        weights: Initial weights; the first axis is the member.
        inputs: Arrays of n rows.
        target: Values with mean 0 and deviation 1, shape (n,).
        groups: Rows of one group are held out together, shape (n,).
        schedule: Settings of the training.
        seed: Seed of the order of rows.
        row_weights: How much each row counts in the loss and on held-out rows, with mean 1, shape (n,); all the same
            if left out.

    Raises:
        ModelError: If torch is not installed.
    """
    with _one_thread() as torch:
        members = len(next(iter(weights.values())))
        kept, held = _held_out(groups, members, seed)
        tensors = [torch.from_numpy(np.ascontiguousarray(rows)) for rows in inputs]
        truth = torch.from_numpy(target.astype(np.float32))
        counts = torch.ones(len(truth)) if row_weights is None else torch.from_numpy(row_weights.astype(np.float32))
        current = {name: torch.from_numpy(array.copy()).requires_grad_() for name, array in weights.items()}
        best = {name: tensor.detach().clone() for name, tensor in current.items()}
        least, waited = np.full(members, np.inf), 0
        optimiser = torch.optim.AdamW(list(current.values()), lr=schedule.rate, weight_decay=schedule.decay)
        random = np.random.default_rng([seed, 1])
        for epoch in range(schedule.epochs):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate * 0.5 * (1 + np.cos(np.pi * epoch / schedule.epochs))
            for rows in _batches(random, kept, schedule.batch):
                outputs = forward(current, _torch_functions(), *(t[rows] for t in tensors))
                optimiser.zero_grad()
                _beta_nll(outputs, truth[rows], counts[rows]).backward()
                torch.nn.utils.clip_grad_norm_(list(current.values()), _LARGEST_GRADIENT * members**0.5)
                optimiser.step()
            errors, _ = _held_out_errors(forward, current, tensors, truth, counts, held)
            better = errors < least
            waited = 0 if better.any() else waited + 1
            least = np.minimum(errors, least)
            for name, tensor in current.items():
                best[name][better] = tensor.detach()[better]
            if waited > schedule.patience:
                break
        _, excess = _held_out_errors(forward, best, tensors, truth, counts, held)
        best["leave_bias"][:, 0, 1] += torch.from_numpy(np.log(excess).astype(np.float32))
        return {name: tensor.numpy() for name, tensor in best.items()}


def slopes(
    forward: Forward, weights: Mapping[str, NDArray[np.float32]], inputs: Sequence[NDArray[Any]], *, along: int
) -> NDArray[np.float64]:
    """Compute the slope of the mean prediction along one input at each of n rows, in the shape of that input."""
    with _one_thread() as torch:
        fixed = {name: torch.from_numpy(array) for name, array in weights.items()}
        found = []
        for at in range(0, len(inputs[0]), _SLOPE_ROWS):
            chunk = [torch.from_numpy(np.ascontiguousarray(array[at : at + _SLOPE_ROWS]))[None] for array in inputs]
            chunk[along].requires_grad_()
            forward(fixed, _torch_functions(), *chunk)[..., 0].mean(dim=0).sum().backward()
            found.append(chunk[along].grad[0].numpy().astype(float))
        return np.concatenate(found)


def _torch_functions() -> SimpleNamespace:
    """Return the functions of :data:`NUMPY` for tensors."""
    import torch

    def array(values: NDArray[Any]) -> Any:
        return torch.from_numpy(values.astype(np.float32) if values.dtype.kind == "f" else values)

    return SimpleNamespace(exp=torch.exp, log=torch.log, clip=torch.clamp, array=array)


@contextlib.contextmanager
def _one_thread() -> Iterator[Any]:
    """Use torch with one thread, so that sums have a fixed order and a worker uses one core."""
    try:
        import torch
    except ImportError as error:
        raise ModelError("torch is not installed", "", install_command("matloop[potentials]")) from error
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield torch
    finally:
        torch.set_num_threads(before)


def _held_out(
    groups: NDArray[np.integer], members: int, seed: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Split rows into those each member trains on and those that decide when it stops."""
    count = len(np.unique(groups))
    if count < 2:
        raise ModelError(f"{count} formula to train on", "at least 2, so that some can be held out")
    folds = list(grouped_folds(groups, folds=min(_HELD_OUT_FOLDS, count), seed=seed))
    pairs = [folds[member % len(folds)] for member in range(members)]
    return [train for train, _ in pairs], [held for _, held in pairs]


def _batches(random: np.random.Generator, kept: list[NDArray[np.int64]], batch: int) -> Iterator[Any]:
    """Yield the rows of each step, shape (members, batch). Every member passes over its rows in its own order."""
    import torch

    fewest = min(len(rows) for rows in kept)
    orders = np.stack([random.permutation(rows)[:fewest] for rows in kept])
    steps = max(fewest // batch, 1)
    for rows in np.array_split(orders, steps, axis=1):
        yield torch.from_numpy(np.ascontiguousarray(rows))


def _beta_nll(outputs: Any, truth: Any, counts: Any) -> Any:
    mean, log_variance = outputs[..., 0], outputs[..., 1].clamp(*_LOG_VARIANCE)
    likelihood = 0.5 * ((truth - mean) ** 2 * (-log_variance).exp() + log_variance)
    return (likelihood * (_BETA * log_variance).exp().detach() * counts).mean(dim=1).sum()


def _held_out_errors(
    forward: Forward, weights: Weights, tensors: list[Any], truth: Any, counts: Any, held: list[NDArray[np.int64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean absolute error of each member on held-out rows, and mean squared error over predicted variance."""
    import torch

    errors, excess = np.empty(len(held)), np.empty(len(held))
    with torch.no_grad():
        for member, rows in enumerate(held):
            own = {name: tensor[member : member + 1] for name, tensor in weights.items()}
            outputs = forward(own, _torch_functions(), *(tensor[rows][None] for tensor in tensors))[0]
            miss, share = truth[rows] - outputs[:, 0], counts[rows] / counts[rows].mean()
            errors[member] = float((miss.abs() * share).mean())
            excess[member] = float((miss**2 * (-outputs[:, 1].clamp(*_LOG_VARIANCE)).exp() * share).mean())
    return errors, np.clip(excess, 1e-3, 1e3)

"""What a classifier's outputs mean: which of them the labels are, and whether they are logits at all.

Both are told to a private copy of it, by a hook at its end: its modules, and so its layers' names, stay.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import random_kept
from cladec_utils.errors import CladecError, note
from cladec_utils.models.given import integers
from cladec_utils.models.inference import pixels
from cladec_utils.models.modules import first_output, lay_out

BATCH = 32
LOOKED_AT = 256
"""Images that outputs are judged by at most, spread over those that are given."""
MANY = 100
"""Labelled images of which one with as many outputs as classes must be right on more than by chance."""
CLEAR = 0.5
"""An output is proposed for a label if at least that share of its images is answered with it."""
ENOUGH = 8
"""So many rows of numbers from 0 to 1 with the sum 1 are no coincidence."""
SUM = 1e-3
"""How far from 1 the sum of probabilities may be: rounding, of half precision too."""
NAMED = 10
"""Outputs that a sentence names."""
PROBABILITIES, LOGARITHMS, LOGITS = "probabilities", "logarithms of probabilities", "logits"


@dataclass
class _Outputs:
    """The hook: of probabilities the logarithms, which are logits of the same softmax; of all outputs those
    that the labels mean. `kind` None: nobody has looked yet."""

    classes: tuple[int, ...] | None = None
    kind: str | None = None

    def __call__(self, module: nn.Module, _inputs: object, output: object) -> object:
        output = first_output(output) if module.training else output
        if not isinstance(output, Tensor) or output.dim() != 2:
            return output  # `check_outputs` says what is wrong with it
        if self.kind == PROBABILITIES:
            output = output.clamp_min(torch.finfo(output.dtype).tiny).log()
        if self.classes is None:
            return output
        if max(self.classes) >= output.shape[1]:
            raise CladecError(
                f"classes names the output {max(self.classes)}, but the classifier gives {output.shape[1]}, "
                f"numbered 0 to {output.shape[1] - 1}."
            )
        return output.index_select(1, torch.tensor(self.classes, device=output.device))


def checked_classes(classes: object) -> tuple[int, ...] | None:
    """The outputs that the labels 0, 1, ... mean, as integers; None stays None."""
    if classes is None:
        return None
    found = integers(classes)
    good = found is not None and found.dim() == 1 and len(found) > 1 and int(found.min()) >= 0
    if not good or len(found.unique()) < len(found):
        raise CladecError(
            f"classes is {classes!r}; it must be the numbers of two or more different outputs of the "
            "classifier, in the order of your labels, such as [310, 309]."
        )
    return tuple(found.tolist())


def select(network: nn.Module, classes: object) -> nn.Module:
    """Let a private copy of a classifier give the outputs `classes` only, in that order (None: as before).
    They are numbered as the classifier's own, whatever was selected before. Returns the network."""
    found = checked_classes(classes)
    if found is not None:
        _told(network).classes = found
    return network


def selected(network: nn.Module) -> tuple[int, ...] | None:
    """The outputs that it was told to give; None: all."""
    return next((hook.classes for hook in _hooks(network).values()), None)


def recognise(network: nn.Module, images: Tensor) -> None:
    """See, on images (N, C, H, W), whether a private copy of a classifier gives probabilities; if so it gives
    their logarithms from now on. That is said, as it is of a log_softmax; it is not looked at a second time.
    """
    if any(hook.kind for hook in _hooks(network).values()):
        return
    outputs = _raw(network, images)[0]
    kind = _kind(outputs)
    if kind == LOGITS and len(outputs) >= ENOUGH and outputs.min() >= 0 and outputs.max() <= 1:
        note(
            "All outputs of the classifier lie between 0 and 1, as after a sigmoid; they are taken for "
            "logits, of which cross-entropy is another: give what comes before the sigmoid."
        )
    if kind == LOGITS and not _hooks(network):
        return  # as most do: nothing stands between it and its outputs
    _told(network).kind = kind
    if kind == PROBABILITIES:
        note(
            "The classifier's outputs are probabilities (they sum to 1, as after a softmax), no logits: "
            "their logarithms are used as logits, so that cross-entropy and gradients are right."
        )
    if kind == LOGARITHMS:
        note(
            "The classifier's outputs are logarithms of probabilities (log_softmax); they are used as "
            "logits, of which cross-entropy is the same."
        )


def recognised(network: nn.Module) -> str | None:
    """What was recognised in its outputs; None: nothing, as most give logits."""
    return next((hook.kind for hook in _hooks(network).values()), None)


def remember(network: nn.Module, kind: str | None) -> None:
    """Let a private copy know what was `recognised` in another one."""
    if kind is not None:
        _told(network).kind = kind


def _kind(outputs: Tensor) -> str:
    """Whether rows (N, K) are probabilities, their logarithms, or neither."""
    if len(outputs) >= ENOUGH:
        for kind, rows in ((PROBABILITIES, outputs), (LOGARITHMS, outputs.exp())):
            if rows.min() >= 0 and rows.max() <= 1 + SUM and bool(((rows.sum(1) - 1).abs() < SUM).all()):
                return kind
    return LOGITS


def note_chance(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Say if a classifier is right about no more images than by chance: its outputs are probably numbered in
    another way than the labels (N,), of which there may be fewer."""
    count = len(labels.unique())
    if count < 2:
        return
    raw, places = _raw(network, images)
    labels, mine = labels.cpu()[places], selected(network)
    if raw.shape[1] < count:
        return
    answers = raw.argmax(1)
    right = (raw if mine is None else raw[:, list(mine)]).argmax(1) == labels
    share = right.float().mean().item()
    if share > 1 / count:
        return
    said = f"The classifier is right on {share:.0%} of {len(labels)} labelled images, no more than by chance"
    if raw.shape[1] > count:
        advice = _advice(answers, labels, mine)
        note(f"{said}. It has {raw.shape[1]} outputs for {count} classes: {advice}.")
    elif len(labels) >= MANY:
        note(
            f"{said}: it is not trained, or the labels are in another order than its outputs, or it wants "
            "other images (normalised, of another size)."
        )


def _advice(answers: Tensor, labels: Tensor, mine: tuple[int, ...] | None) -> str:
    """What a classifier answers to the images of each label, and what to do about it."""
    of_label = [int(answers[labels == label].mode().values) for label in labels.unique()]
    clear = all(
        (answers[labels == label] == most).float().mean() >= CLEAR
        for label, most in zip(labels.unique(), of_label, strict=True)
    )
    common = answers.unique(return_counts=True)
    usual = common[0][common[1].argsort(descending=True, stable=True)][: len(of_label)].tolist()
    said = f"it mostly answers {_some(usual)}"
    said += f", not what classes=[{_some(list(mine))}] says" if mine and set(mine) != set(usual) else ""
    if clear and len(set(of_label)) == len(of_label) and tuple(of_label) != mine:
        command = f"mymodule:load[{'+'.join(map(str, of_label))}] on the command line"
        what = f"classes=[{_some(of_label)}], in your labels' order"
        return f"{said}; if these are your classes, say {what}" + (
            f" ({command})" if len(of_label) < 5 else ""
        )
    return f"{said}; say which of them your labels mean, in their order: classes=[...]"


def _some(numbers: list[int]) -> str:
    return ", ".join([*map(str, numbers[:NAMED]), *["..."] * (len(numbers) > NAMED)])


@torch.no_grad()
def _raw(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs (n, K) as they are, on the CPU, for some of the images, and the places of these."""
    places = torch.linspace(0, len(images) - 1, min(len(images), LOOKED_AT)).long()
    device = next(itertools.chain(network.parameters(), network.buffers()), torch.zeros(())).device
    lay_out(network, torch.zeros(2, *images.shape[1:]))
    with plain(network), random_kept():
        parts = [network.eval()(pixels(part, device)).float().cpu() for part in images[places].split(BATCH)]
    return torch.cat(parts), places


def _hooks(network: nn.Module) -> dict[int, _Outputs]:
    return {key: hook for key, hook in network._forward_hooks.items() if isinstance(hook, _Outputs)}


def _told(network: nn.Module) -> _Outputs:
    """What was told to the network, which may be changed."""
    if not _hooks(network):
        network.register_forward_hook(_Outputs())
    return next(iter(_hooks(network).values()))


@contextlib.contextmanager
def plain(network: nn.Module) -> Iterator[nn.Module]:
    """The network as it was before anything was told to it."""
    hooks = _hooks(network)
    for key in hooks:
        del network._forward_hooks[key]
    try:
        yield network
    finally:
        network._forward_hooks.update(hooks)

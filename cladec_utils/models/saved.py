"""Fitted explainers as files: .safetensors with all that `load` needs but the classifier."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import safetensors
import safetensors.torch
import torch
from torch import nn

from cladec_utils.engine.device import apart
from cladec_utils.engine.paths import with_home
from cladec_utils.engine.store import write_bytes
from cladec_utils.errors import CladecError
from cladec_utils.models.architectures import fingerprint
from cladec_utils.models.encoder import private
from cladec_utils.models.identity import alike, answers
from cladec_utils.models.outputs import plain, selected
from cladec_utils.models.training import TrainSpec


class Saved(nn.Module):
    """What of an explainer is written to a file, and read from it."""

    kind: ClassVar[str] = ""

    def save(self, path: str | Path) -> None:
        """Write what was trained to a .safetensors file, with all that `load` needs but the classifier."""
        self._fitted()
        path = with_home(path)
        if Path(path).is_dir():
            raise CladecError(f"{str(path)!r} is a folder; name a file in it, such as cladec.safetensors.")
        with plain(self.classifier) as classifier:
            mark = self._mark(classifier, self.image_shape)
        facts = {
            "kind": type(self).kind,
            "layer": self.layer,
            "neurons": self.neurons,
            "width": self.width,
            "norm": self.norm,
            "layout": self.layout,
            "reconstruct_at": self.reconstruct_at,
            "own_decoder": self._parts[1] is not None,
            "image_shape": self.image_shape,
            "classifier": mark,
            "classes": selected(self.classifier),
            "seed": self.seed,
            "training": asdict(self.train_spec),
            "curves": self.curves,
            **self._facts(),
        }
        content = safetensors.torch.save(apart(self.trained_tensors()), {"cladec": json.dumps(facts)})
        write_bytes(Path(path), content)

    def _facts(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def _mark(classifier: nn.Module, image_shape: tuple[int, int, int]) -> str:
        """What a private copy of the classifier is recognised by."""
        return fingerprint(classifier, image_shape=image_shape)

    @classmethod
    def load(cls, path: str | Path, classifier: nn.Module, decoder: nn.Module | None = None) -> Self:
        """The explainer that `save` wrote to `path`, of the same `classifier` (and own `decoder`).

        Raises CladecError for a file that is none of these, or another classifier.
        """
        path = with_home(path)
        try:
            with safetensors.safe_open(str(path), "pt") as file:
                facts = json.loads((file.metadata() or {})["cladec"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
            raise CladecError(f"{path} is no explainer that `save` has written ({error}).") from error
        if facts["kind"] != cls.kind:
            raise CladecError(
                f"{path} holds a {facts['kind']}, no {cls.kind}; load it with cu.{facts['kind']}."
            )
        if facts["own_decoder"] and decoder is None:
            raise CladecError(f"{path} was fitted with a decoder of your own; give it as `decoder=`.")
        given, shape = private(classifier, torch.device("cpu")), tuple(facts["image_shape"])
        same = cls._mark(given, shape) == facts["classifier"]
        if same and facts.get("answers"):  # what it depends on need not all be seen in it
            same = alike(answers(given, shape), torch.tensor(facts["answers"]))
        if not same:
            raise CladecError(
                f"{path} was fitted to another classifier than the one given (weights, attributes, code and "
                "logits count); load that one."
            )
        names = ("neurons", "width", "norm", "layout", "reconstruct_at", "alpha", "components", "classes")
        names += ("reference",)
        options = {name: facts[name] for name in names if name in facts}
        found = cls(classifier, facts["layer"], decoder=decoder, **options)
        try:
            found.restore(tensors, tuple(facts["image_shape"]), facts["seed"])
        except RuntimeError as error:
            raise CladecError(f"{path} was fitted with another decoder; give that one. ({error})") from error
        found.train_spec, found.curves = TrainSpec(**facts["training"]), facts["curves"]
        return found

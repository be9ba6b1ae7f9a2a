"""One training by hand on all cores beside the official procedure: `ClaDec.fit` and `RefAE.fit`, full width.

Images per second in batches of 128, wall time of the whole call. For the kit of EPOCHS epochs of IMAGES
images with building, stored activations, the batch norms that its decoders have, and measuring these in the
end, which is done once however long one trains: of a single epoch it would be a fifth, of the official 64
nothing. For the official procedure (`reference_loop.py`, whose decoders have no norms) of one epoch with
its loaders, as all of its epochs cost the same. Turns alternate; `times` is the median of their ratios,
`least` and `most` their range. Run it on a quiet machine:

    python benchmarks/lone_fit.py                  writes lone_fit.csv
"""

import statistics
import time

import torch
from common import write
from reference_loop import decoder_epoch, official_classifier

from cladec_utils import ClaDec, RefAE
from cladec_utils.data.datasets import data_spec, load
from cladec_utils.engine.paths import workers
from cladec_utils.models.training import TrainSpec

IMAGES, EPOCHS, TURNS, LAYER = 1920, 4, 5, "block8"


def main() -> None:
    """Time both networks in turns and write the table."""
    split = load(data_spec("fashion-mnist", IMAGES, 0, 10, 32)).train
    grey = split.images[:, 0, :28, :28].contiguous()
    classifier = official_classifier().eval()
    training, rows = TrainSpec(EPOCHS, "adam", 3e-4, 1e-5), []
    for kind in (ClaDec, RefAE):
        found = []
        for _ in range(TURNS):
            torch.set_num_threads(workers())
            theirs = decoder_epoch(grey, split.labels, LAYER, refae=kind is RefAE)
            begin = time.perf_counter()
            kind(classifier, LAYER).fit(split.images, split.labels, training=training, progress=False)
            found.append((IMAGES / theirs, EPOCHS * IMAGES / (time.perf_counter() - begin)))
        reference, kit = (statistics.median(column) for column in zip(*found, strict=True))
        times = sorted(b / a for a, b in found)
        row = {"what": kind.kind, "reference": reference, "kit": kit, "unit": "images/s"}
        rows.append(row | {"times": statistics.median(times), "least": times[0], "most": times[-1]})
    write("lone_fit", rows)


if __name__ == "__main__":
    main()

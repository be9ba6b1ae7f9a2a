"""Removal metrics on classifiers whose relevant pixels are known, and beside an independent imputer."""

import pytest
import torch
from scipy import stats

from cladec_utils.errors import CladecError
from cladec_utils.saliency import faithfulness
from cladec_utils.saliency.faithfulness import (
    COLUMNS,
    METRICS,
    foreground,
    impute,
    ranks,
    removed,
    scores,
    smooth,
)

N, SIDE = 60, 16
PRIMARY = ("road", "smoothed")
NO_GRAD_CAM = "grad-cam is not installed: it comes with the extra `crosscheck`"


@pytest.fixture(scope="module")
def patches():
    """Images of noise with a bright 8 x 8 patch at a random place, and the masks of those patches."""
    random = torch.Generator().manual_seed(0)
    images = 0.3 * torch.rand(N, 1, SIDE, SIDE, generator=random)
    masks = torch.zeros(N, SIDE, SIDE)
    corner = torch.randint(0, SIDE - 8, (N, 2), generator=random)
    for i, (y, x) in enumerate(corner.tolist()):
        masks[i, y : y + 8, x : x + 8] = 1
    return (images + 0.6 * masks.unsqueeze(1)).clamp(0, 1), masks


def looks_at_a_patch(images):
    """Class 1 for an 8 x 8 patch that is bright anywhere: nothing else matters."""
    found = torch.nn.functional.avg_pool2d(images, 8, 1).amax((1, 2, 3))
    return torch.stack([torch.zeros_like(found), 12 * (found - 0.5)], 1)


def score(patches, maps, columns=COLUMNS):
    images, _ = patches
    targets = torch.ones(N, dtype=torch.int64)
    found = scores(looks_at_a_patch, images, targets, {"map": maps}, columns)
    return {key[1:]: values for key, values in found.items()}


def upper_half(masks):
    """The first four of each patch's eight rows."""
    return masks * (masks.amax(2).cumsum(1) <= 4)[:, :, None]


def noise(seed):
    return torch.rand(N, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def test_the_perfect_map_is_best_and_its_reverse_worst_under_every_metric(patches):
    """Apart from ties by which pixels of the patch and of the rest go first."""
    jitter = 0.01 * noise(1)
    maps = {
        "perfect": patches[1] + jitter,
        "half": upper_half(patches[1]) + jitter,
        "chance": noise(3),
        "reversed": jitter - patches[1],
    }
    found = {name: score(patches, m) for name, m in maps.items()}
    for column in COLUMNS:
        mean = {name: float(values[column].mean()) for name, values in found.items()}
        others = [mean["half"], mean["chance"]]
        assert mean["perfect"] > max(others) + 0.003, (column, mean)
        assert mean["reversed"] < min(others) - 0.01, (column, mean)
    assert float(found["perfect"][PRIMARY].mean()) > 0.5


def test_a_random_map_scores_zero_within_its_interval(patches):
    """Raw and smoothed, whole and inside the foreground. Images are independent, and so are their random
    orders: the interval over images holds the error of what is taken away as well."""
    images, _ = patches
    maps = {str(seed): noise(100 + seed) for seed in range(12)}
    found = scores(looks_at_a_patch, images, torch.ones(N, dtype=torch.int64), maps)
    for column in COLUMNS:
        values = torch.stack([found[(name, *column)] for name in maps]).mean(0).double()
        assert stats.ttest_1samp(values, 0).pvalue > 0.005, (column, values.mean())
        assert abs(float(values.mean())) < 0.015, column


def test_a_random_gap_is_zero_without_any_reference(patches):
    column = ("road", "raw")
    means = [float(score(patches, noise(seed), [column])[column].mean()) for seed in range(20)]
    assert stats.ttest_1samp(means, 0).pvalue > 0.001 and abs(sum(means) / 20) < 0.02


def test_permuting_the_images_maps_destroys_the_score(patches):
    perfect = patches[1] + 0.01 * noise(1)
    order = torch.roll(torch.arange(N), 7)
    right, wrong = score(patches, perfect), score(patches, perfect[order])
    for column in COLUMNS:
        assert float(wrong[column].mean()) < 0.5 * float(right[column].mean()), column


@pytest.mark.numeric
def test_order_within_equal_maps_is_the_same_and_scores_do_not_depend_on_company(patches):
    images, masks = patches
    targets = torch.ones(N, dtype=torch.int64)
    together = scores(looks_at_a_patch, images, targets, {"a": masks, "b": masks, "c": noise(5)})
    alone = scores(looks_at_a_patch, images, targets, {"a": masks})
    for column in COLUMNS:
        assert torch.allclose(together[("a", *column)], together[("b", *column)], atol=1e-3)
        assert torch.allclose(together[("a", *column)], alone[("a", *column)], atol=1e-3)


def test_ranks_and_removal_are_what_they_say():
    maps = torch.tensor([[[3.0, 1.0], [2.0, 0.0]]])
    assert ranks(maps).tolist() == [[[0, 2], [1, 3]]]
    assert removed(ranks(maps), (0.25, 0.5), True)[:, 0].int().tolist() == [
        [[1, 0], [0, 0]],
        [[1, 0], [1, 0]],
    ]
    assert removed(ranks(maps), (0.25,), False)[0, 0].int().tolist() == [[0, 0], [0, 1]]
    within = torch.tensor([[[False, True], [False, True]]])
    rank = ranks(maps, within)
    assert removed(rank, (0.5,), True, within)[0, 0].int().tolist() == [[0, 1], [0, 0]]
    assert removed(rank, (0.5,), False, within)[0, 0].int().tolist() == [[0, 0], [0, 1]]


def test_ties_are_not_broken_from_the_top_left():
    first = ranks(torch.zeros(1, 16, 16))[0].flatten() < 128
    rows = first.view(16, 16).float().mean(1)
    assert sorted(ranks(torch.zeros(1, 16, 16)).flatten().tolist()) == list(range(256))
    assert 0.2 < rows[:8].mean() < 0.8


def test_the_foreground_is_what_differs_from_the_border():
    images = torch.full((2, 3, 16, 16), 0.4)
    images[0, 1, 4:10, 4:10] = 0.8
    found = foreground(images)
    assert found[0].sum() == 36 and found[0, 5, 5] and not found[0, 0, 0]
    assert found[1].all()  # nothing stands out: the whole image counts


@pytest.mark.numeric
def test_imputation_solves_its_equations():
    """Against a dense solution of the same linear system, per missing pixel and neighbour."""
    random = torch.Generator().manual_seed(3)
    image = torch.rand(1, 2, 8, 8, generator=random)
    gone = torch.rand(1, 8, 8, generator=random) < 0.6
    weights = {
        (dy, dx): 1 / 6 if 0 in (dy, dx) else 1 / 12 for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx
    }
    holes = [tuple(p) for p in gone[0].nonzero().tolist()]
    system, right = torch.zeros(len(holes), len(holes)), torch.zeros(len(holes), 2)
    for row, (y, x) in enumerate(holes):
        for (dy, dx), weight in weights.items():
            at = (y + dy, x + dx)
            if not all(0 <= c < 8 for c in at):
                continue
            system[row, row] += weight
            if at in holes:
                system[row, holes.index(at)] -= weight
            else:
                right[row] += weight * image[0, :, at[0], at[1]]
    wanted = torch.linalg.solve(system.double(), right.double()).float()
    found = impute(image, gone)
    got = torch.stack([found[0, :, y, x] for y, x in holes])
    assert torch.allclose(got, wanted, atol=2e-3)  # at most .0008 apart, three seeds, AVX2 and AVX512_CORE
    kept = ~gone[:, None].expand_as(image)
    assert torch.equal(found[kept], image[kept])


@pytest.mark.numeric
def test_imputation_is_that_of_grad_cam():
    """The ROAD imputer of pytorch-grad-cam (from the authors' code) on the same holes, without noise."""
    road = pytest.importorskip("pytorch_grad_cam.metrics.road", reason=NO_GRAD_CAM)
    random = torch.Generator().manual_seed(4)
    images = smooth(torch.rand(6, 32, 32, generator=random), 1.5).unsqueeze(1)
    theirs = road.NoisyLinearImputer(noise=0.0)
    differences = []
    for fraction in METRICS["road"].fractions:
        for maps in (
            torch.rand(6, 32, 32, generator=random),
            smooth(torch.rand(6, 32, 32, generator=random)),
        ):
            gone = removed(ranks(maps), (fraction,), True)[0]
            mine = impute(images, gone)
            pairs = zip(images, gone, strict=True)
            reference = torch.stack([theirs(image, (~holes).float()) for image, holes in pairs])
            differences.append((mine - reference).abs())
    found = torch.stack(differences)
    print(f"difference from grad-cam's imputation: mean {found.mean():.1e}, largest {found.max():.1e}")
    assert found.mean() < 2e-4 and found.max() < faithfulness.NOISE


@pytest.mark.numeric
def test_the_gap_is_that_of_grad_cam():
    """ROAD with grad-cam's imputer in place of ours: the same gaps to a tenth of a point (1e-3)."""
    road = pytest.importorskip("pytorch_grad_cam.metrics.road", reason=NO_GRAD_CAM)
    random = torch.Generator().manual_seed(5)
    images = smooth(torch.rand(8, 32, 32, generator=random), 1.5).unsqueeze(1)
    masks = smooth(torch.rand(8, 32, 32, generator=random))
    targets = torch.ones(8, dtype=torch.int64)

    def predict(pixels):
        bright = torch.nn.functional.avg_pool2d(pixels, 6, 1).amax((1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 30 * (bright - 0.53)], 1)

    mine = faithfulness.area(predict, images, targets, masks, METRICS["road"])
    theirs = road.NoisyLinearImputer(noise=0.0)
    gap = torch.zeros(8)
    for most_first, sign in ((True, -1), (False, 1)):
        for gone in removed(ranks(masks), METRICS["road"].fractions, most_first):
            filled = torch.stack([theirs(i, (~h).float()) for i, h in zip(images, gone, strict=True)])
            noise = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(73))
            filled = torch.where(gone.unsqueeze(1), filled + faithfulness.NOISE * noise, images)
            gap += sign * predict(filled).softmax(1)[:, 1] / 4
    print(f"largest difference of a ROAD gap: {float((mine - gap).abs().max()):.1e}")
    assert torch.allclose(mine, gap, atol=1e-3)


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        (torch.rand(N, 1, SIDE, SIDE), "one number per image and pixel"),
        (torch.rand(N, SIDE, SIDE + 1), "these images need"),
        (torch.full((N, SIDE, SIDE), torch.nan), "not finite for 60 of 60 images"),
        (torch.where(torch.arange(N).view(-1, 1, 1) == 3, torch.inf, noise(0)), "first: image 3"),
    ],
)
def test_maps_that_cannot_be_scored_get_a_sentence(patches, maps, says):
    with pytest.raises(CladecError, match=says) as caught:
        score(patches, maps)
    assert "'map'" in str(caught.value)

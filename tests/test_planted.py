"""Planted concepts: rendering, independence, truths, and edits."""

import numpy as np
import pytest
import torch
from scipy import stats

from cladec_utils.data import datasets, planted, sources
from cladec_utils.data.splits import Split
from cladec_utils.errors import CladecError
from cladec_utils.study import probes

PAIR = sources.PLANTED


@pytest.fixture(scope="module")
def scenes():
    garments = sources.garments().train
    return planted.make_scenes(Split(garments.images[:4000], garments.labels[:4000]), seed=3)


def test_the_same_seed_gives_the_same_images_and_another_does_not(scenes):
    garments = sources.garments().train
    again = planted.make_scenes(Split(garments.images[:4000], garments.labels[:4000]), seed=3)
    other = planted.make_scenes(Split(garments.images[:4000], garments.labels[:4000]), seed=4)
    some = torch.arange(50)
    images = planted.render(scenes.subset(some))
    assert images.shape == (50, 3, 32, 32) and images.dtype == torch.uint8
    assert torch.equal(images, planted.render(again.subset(some)))
    assert not torch.equal(images, planted.render(other.subset(some)))


def test_rendering_does_not_depend_on_the_company(scenes):
    together = planted.render(scenes.subset(torch.arange(20)))
    alone = torch.cat([planted.render(scenes.subset(torch.tensor([i]))) for i in range(20)])
    assert (together.int() - alone.int()).abs().max() <= 1


def test_factors_and_group_are_independent(scenes):
    columns = [*scenes.levels.T.numpy(), scenes.group.numpy()]
    for i, one in enumerate(columns):
        for other in columns[:i]:
            assert stats.chi2_contingency(np.histogram2d(one, other, 2)[0]).pvalue > 0.01
    for level in scenes.levels.T:
        assert abs(level.double().mean() - 0.5) < 0.02


@pytest.mark.parametrize("factor", planted.FACTORS)
def test_an_edit_changes_its_factor_alone_and_twice_is_nothing(scenes, factor):
    some = scenes.subset(torch.arange(30))
    edited = some.edited(factor)
    column = list(planted.FACTORS).index(factor)
    changed = (edited.levels != some.levels).all(0)
    assert changed.tolist() == [i == column for i in range(6)]
    assert torch.equal(edited.jitter, some.jitter) and torch.equal(edited.garments, some.garments)
    before, after = planted.render(some), planted.render(edited)
    assert (before != after).flatten(1).any(1).all()
    assert torch.equal(planted.render(edited.edited(factor)), before)


def test_stripes_and_tint_leave_mean_brightness_alone(scenes):
    some = scenes.subset(torch.arange(500))
    luminance = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)

    def mean(s):
        return (planted.render(s).float() * luminance).sum(1).mean()

    moved = {f: abs(mean(some.edited(f)) - mean(some)) for f in ("tint", "stripes")}
    at = list(planted.FACTORS).index("brightness")
    bright, dim = some.levels.clone(), some.levels.clone()
    bright[:, at], dim[:, at] = 1, 0
    step = mean(planted.Scenes(some.garments, some.group, bright, some.jitter)) - mean(
        planted.Scenes(some.garments, some.group, dim, some.jitter)
    )
    assert step > 5 and all(m < step / 10 for m in moved.values())


def test_one_image_has_opposite_truths():
    one, other = (datasets.data_spec(name, 200, 20, 100) for name in PAIR)
    first, second = datasets.load(one), datasets.load(other)
    for a, b in ((first.train, second.train), (first.val, second.val), (first.test, second.test)):
        assert torch.equal(a.images, b.images)
    assert one.fingerprint != other.fingerprint and first.class_names != second.class_names
    scenes = probes.scenes(one)
    assert torch.equal(planted.render(scenes), first.test.images)
    assert torch.equal(scenes.labels(PAIR[0]), first.test.labels)
    assert torch.equal(scenes.labels(PAIR[1]), second.test.labels)
    for factor in planted.FACTORS:
        edited = scenes.edited(factor)
        for name, labels in ((PAIR[0], first.test.labels), (PAIR[1], second.test.labels)):
            assert (edited.labels(name) != labels).all() == (factor in planted.relevant(name))


def test_class_names_say_what_is_seen():
    names = planted.class_names("planted-tint-stripes")
    assert names[0] == "top warm plain" and names[7] == "shoe cool striped" and len(set(names)) == 8


@pytest.mark.parametrize("name", ["planted-tint-tint", "planted-stripes-tint", "planted-colour-tint"])
def test_an_unknown_pair_is_refused_with_what_there_is(name):
    with pytest.raises(CladecError, match="planted-tint-stripes"):
        datasets.data_spec(name)


def test_an_unknown_factor_is_refused(scenes):
    with pytest.raises(CladecError, match="brightness"):
        scenes.edited("brightnes")
    with pytest.raises(CladecError, match="planted"):
        probes.scenes(datasets.data_spec("fashion-mnist", 50, 0, 50))

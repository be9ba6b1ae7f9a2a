import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ADAM, SGD
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from cladec_utils import open_study
from cladec_utils.claims.evidence import compare
from cladec_utils.claims.interval import paired_interval
from cladec_utils.data import datasets
from cladec_utils.engine import store
from cladec_utils.errors import CladecError
from cladec_utils.models import inference
from cladec_utils.study import classifiers, evaluation, explainers
from cladec_utils.study.evaluation import EvaluationSpec, JudgeSpec, image_mse, image_ssim, tidy
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec
from cladec_utils.study.study import PANEL_SEED


@pytest.fixture(scope="module")
def pair():
    random = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 24, 24, generator=random)
    return images, (images + 0.2 * torch.randn(images.shape, generator=random)).clamp(0, 1)


def test_ssim_is_that_of_wang_et_al(pair):
    """Against a direct computation with scipy: Gaussian window of 11, sigma 1.5, valid positions."""

    def smooth(x):
        return ndimage.gaussian_filter(x, 1.5, radius=5)[5:-5, 5:-5]

    def reference(a, b):
        ma, mb = smooth(a), smooth(b)
        va, vb, cov = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
        c1, c2 = 0.01**2, 0.03**2
        map_ = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
        return map_.mean()

    a, b = (t.double().numpy() for t in pair)
    wanted = [np.mean([reference(x[c], y[c]) for c in range(2)]) for x, y in zip(a, b, strict=True)]
    assert image_ssim(*pair).tolist() == pytest.approx(wanted, abs=1e-4)


def test_identical_images_have_no_error(pair):
    assert image_mse(pair[0], pair[0]).tolist() == [0, 0, 0]
    assert image_ssim(pair[0], pair[0]).tolist() == pytest.approx([1, 1, 1])


def test_mse_is_per_pixel():
    assert image_mse(torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.5)).tolist() == [0.25]


@pytest.mark.parametrize("side", [8, 9, 10, 16])
def test_ssim_takes_small_images(side):
    images = torch.rand(2, 1, side, side)
    assert image_ssim(images, images).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("metric", [image_mse, image_ssim])
def test_images_that_cannot_be_compared_get_a_sentence(metric):
    with pytest.raises(CladecError, match="cannot be compared"):
        metric(torch.rand(2, 1, 8, 8), torch.rand(2, 1, 16, 16))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_interval_holds_the_mean_and_agrees_with_the_t_test(values):
    mean, low, high = paired_interval(values)
    assert low <= mean <= high and mean == pytest.approx(np.mean(values))
    if np.std(values) > 1e-6:
        p = stats.ttest_1samp(values, 0).pvalue
        assert (p < 0.05) == (low > 0 or high < 0) or p == pytest.approx(0.05)


def test_interval_says_nothing_about_one_seed():
    mean, low, high = paired_interval([0.3])
    assert mean == 0.3 and math.isnan(low) and math.isnan(high)
    assert all(math.isnan(v) for v in paired_interval([math.nan]))
    assert paired_interval([0.1, math.nan, 0.3])[0] == pytest.approx(0.2)


def test_interval_covers_the_truth_in_95_of_100_cases():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        _, low, high = paired_interval(random.normal(0.1, 1, 3))
        covered += low <= 0.1 <= high
    assert 0.92 < covered / 400 < 0.98


def test_compare_pairs_by_seed():
    rows = [("ClaDec", 0, 0.5), ("RefAE", 0, 0.4), ("ClaDec", 1, 0.9), ("RefAE", 1, 0.8), ("ClaDec", 2, 9.0)]
    table = pd.DataFrame(rows, columns=["method", "seed", "value"]).assign(layer="a", metric="mse")
    row = compare(table, "mse").iloc[0]
    assert row["difference"] == pytest.approx(0.1) and row["seeds"] == 2  # seed 2 has no partner
    assert row["low"] == pytest.approx(0.1) and row["high"] == pytest.approx(0.1)


@pytest.mark.numeric
def test_an_evaluation_holds_one_figure_per_test_image(folders, tiny_classifier):
    cladec = ClaDecSpec(tiny_classifier, "block4", ADAM, 0)
    judge = JudgeSpec(cladec, tiny_classifier.data, "vgg", 0.125, SGD, 1000)
    others = tuple(replace(tiny_classifier, seed=seed) for seed in (1, 2))
    fewer = replace(judge, n_train=32)
    artifact = store.get(EvaluationSpec(tiny_classifier, cladec, judge, others, fewer))
    assert set(artifact.tensors) == set(evaluation.METRICS)
    assert all(v.shape == (32,) for v in artifact.tensors.values())

    data = datasets.load(tiny_classifier.data)
    decoded = inference.predict(explainers.explainer(cladec), data.test.images)
    scores = inference.predict(classifiers.classifier(tiny_classifier), decoded)
    original = inference.predict(classifiers.classifier(tiny_classifier), data.test.images)
    verdicts = inference.predict(evaluation.judge(judge), decoded)
    mse = (decoded - data.test.images / 255).square().mean((1, 2, 3))
    assert torch.allclose(artifact.tensors["mse"], mse)
    assert artifact.metrics["c_correct"] == inference.accuracy(scores, data.test.labels)
    assert artifact.metrics["c_agrees"] == inference.accuracy(scores, original.argmax(1))
    assert artifact.metrics["judge_correct"] == inference.accuracy(verdicts, data.test.labels)
    few = inference.predict(evaluation.judge(fewer), decoded)
    assert artifact.metrics["fewer_correct"] == inference.accuracy(few, data.test.labels)
    assert not torch.equal(few, verdicts)
    apart = [inference.predict(classifiers.classifier(other), decoded).argmax(1) for other in others]
    for metric, wanted in (("panel_correct", data.test.labels), ("panel_agrees", original.argmax(1))):
        share = sum((read == wanted).float().mean().item() for read in apart) / 2
        assert artifact.metrics[metric] == pytest.approx(share)


def test_the_panel_is_of_classifiers_that_no_study_explains():
    study = open_study("smoke", seeds=[0, 4, 2])
    panel = study.evaluation(study.cladec("logits", 4), 4).panel
    assert [spec.architecture for spec in panel] == ["resnet", "vgg"]
    assert not {spec.seed for spec in panel} & {0, 4, 2} and all(s.data == study.data_spec for s in panel)
    assert all(spec in study.evaluation(study.refae("logits", 4), 4).needs() for spec in panel)
    assert {spec.seed for spec in panel} == {PANEL_SEED}


def test_a_judge_may_learn_from_the_originals_or_from_fewer_images(folders, tiny_classifier):
    data = datasets.load(tiny_classifier.data)
    fit, seen = classifiers.fit_network, []
    for subject, count in ((None, None), (None, 16)):
        spec = JudgeSpec(subject, tiny_classifier.data, "vgg", 0.125, SGD, 1000, count)
        images = replace(data, train=data.train.subset(torch.arange(count or 48)), val=data.val.subset([]))
        network, _ = fit("vgg", 0.125, images, SGD, 1000)
        seen.append(store.get(spec).tensors)
        assert all(torch.equal(seen[-1][k], v) for k, v in network.state_dict().items())
    assert any(not torch.equal(seen[0][k], v) for k, v in seen[1].items())


def test_the_judge_learns_from_reconstructions_of_training_images(folders, tiny_classifier, monkeypatch):
    cladec = ClaDecSpec(tiny_classifier, "block4", ADAM, 0)
    seen = {}
    fit = classifiers.fit_classifier

    def watched(spec, data, images, *rest):
        seen[spec.kind] = images
        return fit(spec, data, images, *rest)

    monkeypatch.setattr(evaluation, "fit_classifier", watched)
    store.get(JudgeSpec(cladec, tiny_classifier.data, "vgg", 0.125, SGD, 1000))
    train = datasets.load(tiny_classifier.data).train.images
    assert torch.equal(seen["judge"], inference.predict(explainers.explainer(cladec), train))


def test_tidy_names_who_was_measured(folders, tiny_classifier):
    cladec = ClaDecSpec(tiny_classifier, "block4", ADAM, 0, 0.25, neurons=(1, 3))
    refae = RefAESpec(tiny_classifier.data, "vgg", 0.125, "block4", ADAM, 0)
    table = tidy(EvaluationSpec(tiny_classifier, s) for s in (None, cladec, refae))
    assert table["value"].notna().all()
    first = table.drop_duplicates("method").set_index("method")
    assert first["neurons"].to_dict() == {"original": "all", "ClaDec": "2", "RefAE": "all"}
    assert first.loc["ClaDec", "alpha"] == 0.25 and math.isnan(first.loc["RefAE", "alpha"])
    metrics = table.groupby("method")["metric"].apply(set)
    assert (first["n_test"] == 32).all() and not table.duplicated(["hash", "metric"]).any()
    assert metrics["RefAE"] == metrics["ClaDec"] | {
        "train_mse",
        "validation_mse",
    }  # ClaDec's loss has more in it at alpha 0.25
    trained = table[table["metric"] == "train_mse"]["value"].item()
    assert trained == store.get(refae).curves["train"][-1]


@pytest.mark.numeric
def test_a_perfect_reconstruction_is_measured_as_perfect(folders, tiny_classifier, monkeypatch):
    """With the identity in place of the decoder, MSE is 0 and C decides as on the original."""
    cladec = replace(ClaDecSpec(tiny_classifier, "block4", ADAM, 0), seed=7)
    monkeypatch.setattr(evaluation, "explainer", lambda *_: torch.nn.Identity())
    metrics = store.get(EvaluationSpec(tiny_classifier, cladec)).metrics
    assert metrics["mse"] == 0 and metrics["ssim"] == pytest.approx(1) and metrics["c_agrees"] == 1

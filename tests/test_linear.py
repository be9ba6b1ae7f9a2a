import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cladec_utils.errors import CladecError
from cladec_utils.models import linear


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return (
        random.normal(size=(200, 4)) @ random.normal(size=(4, 12)) + 0.1 * random.normal(size=(200, 12)) + 3
    )


@given(st.integers(1, 12), st.integers(0, 50))
@settings(deadline=None)
def test_no_linear_code_reconstructs_better_than_principal_components(k, seed):
    """C2 is a theorem here: whatever the encoder, RefAE is at least as close on the training images."""
    random = np.random.default_rng(seed)
    images = random.normal(size=(60, 12)) * random.uniform(0.1, 3, 12)
    best = linear.mse(images, linear.refae(images, k).reconstruct(images))
    other = linear.cladec(images, random.normal(size=(12, k)))
    assert best <= linear.mse(images, other.reconstruct(images)) + 1e-12


def test_all_components_reconstruct_exactly(images):
    assert linear.mse(images, linear.refae(images, 12).reconstruct(images)) < 1e-20


def test_cladec_on_the_components_is_the_refae(images):
    reference = linear.refae(images, 3)
    again = linear.cladec(images, reference.encoder)
    assert np.allclose(again.reconstruct(images), reference.reconstruct(images))


def test_cladec_cannot_depend_on_what_the_encoder_drops(images):
    encoder = np.eye(12)[:, :2]
    model = linear.cladec(images, encoder)
    changed = images.copy()
    changed[:, 2:] += 5
    assert np.allclose(model.codes(changed), model.codes(images))
    assert np.allclose(model.reconstruct(changed), model.reconstruct(images))


def test_gradient_descent_tends_to_the_closed_form(images):
    model = linear.cladec(images, np.eye(12)[:, [1, 4, 7]])
    codes, centred = model.codes(images), images - model.mean
    errors = [
        np.abs(linear.gradient_descent(codes, centred, s) - model.decoder).max() for s in (10, 100, 20000)
    ]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-8


def test_the_classifier_separates_what_is_separable():
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = 5 * np.eye(3)[labels] @ random.normal(size=(3, 8)) + random.normal(size=(90, 8))
    images -= images.mean(0)
    assert ((images @ linear.classifier(images, labels, 3)).argmax(1) == labels).mean() > 0.95


@pytest.mark.parametrize("k", [0, 13])
def test_impossible_k(images, k):
    with pytest.raises(CladecError, match=f"k is {k}; there are 1 to 12"):
        linear.refae(images, k)

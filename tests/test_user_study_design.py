"""The design of a user study: what is refused, and orders that are balanced and tell nothing."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from cladec_utils import open_study
from cladec_utils.errors import CladecError
from cladec_utils.user_study.design import DEFAULT, compared, design, slots, williams


@pytest.mark.parametrize("n", [2, 5, 6, 24])
def test_williams_designs_balance_places_and_neighbours(n):
    square = williams(n)
    assert all(sorted(row) == list(range(n)) for row in square.tolist())
    assert all(set(Counter(column).values()) == {len(square) // n} for column in square.T.tolist())
    pairs = Counter(p for row in square.tolist() for p in pairwise(row))
    assert len(pairs) == n * (n - 1) and set(pairs.values()) == {len(square) // n}


def test_slots_are_balanced_over_arms_places_and_classifiers(asked):
    spec = asked["spec"]
    found = slots(spec)
    places = Counter((s.arm, place, i) for s in found for place, i in enumerate(s.order))
    assert len(places) == len(spec.arms) * spec.shown * spec.images * 2 and set(places.values()) == {1}
    assert all(len({i // 2 for i in s.order}) == spec.shown for s in found)
    assert all(Counter(i % 2 for i in s.order) == {0: 3, 1: 3} for s in found)
    assert slots(spec) == found != slots(replace(spec, seed=1))


@pytest.mark.parametrize("shown", [5, 6])
def test_places_do_not_tell_the_classifier(asked, shown):
    """Neither the parity of a place nor the place itself says which classifier stands there."""
    spec = replace(asked["spec"], images=24, shown=shown)
    found = [s for s in slots(spec) if s.arm == "control"]
    patterns = Counter(tuple(i % 2 for i in s.order) for s in found)
    alternating = [p for p in patterns if all(a != b for a, b in pairwise(p))]
    assert sum(patterns[p] for p in alternating) <= len(found) / 4 and len(patterns) >= 8
    assert {sum(p) for p in patterns} == {shown // 2, (shown + 1) // 2}
    places = Counter((place, i) for s in found for place, i in enumerate(s.order))
    assert len(places) == shown * 48 and set(places.values()) == {len(found) // 48}


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"concepts": ["color", "shape"]}, "Unknown concept 'color'. Did you mean 'colour'"),
        ({"concepts": ["colour", "shape"]}, "The images are grey"),
        ({"concepts": ["shape"]}, "at least two different"),
        ({"arms": ["control", "sham"]}, "The arm 'explained' is missing"),
        ({"arms": ["control", "placebo"]}, "Unknown arm 'placebo'"),
        ({"shown": 30}, "sees 30 of 24 images"),
        ({"layer": "block9"}, "Unknown layer of this study 'block9'"),
    ],
)
def test_a_bad_design_gets_a_sentence(choices, sentence):
    with pytest.raises(CladecError, match=sentence):
        design(open_study("smoke"), **choices)


def test_x_e_is_held_against_a_sham_unless_a_study_has_none():
    """A sham is a third picture, too; without one the advantage could be that there is one."""
    spec = design(open_study("smoke"))
    assert spec.arms == ("sham", "explained") and len(spec.shams) == 1
    assert spec.shams[0].classifier.control == "random weights"
    assert spec.shams[0].layer == spec.explained[0].layer
    assert compared(spec.arms) == compared(("control", "explained", "sham")) == "sham"
    assert compared(("control", "explained")) == "control"
    assert design(open_study("smoke"), arms=("control", "explained")).shams == ()


def test_two_studies_must_share_their_images(npz):
    with pytest.raises(CladecError, match="must be on the same images"):
        design(open_study("smoke"), open_study("smoke", DEFAULT[0]))

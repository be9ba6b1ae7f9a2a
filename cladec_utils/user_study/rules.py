"""The rules of a user study's analysis, fixed before any response was collected. Nothing else decides.

**Exclusions.** Participants, never single answers, by EXCLUSIONS, in that order; the first that applies is
the reason that is reported. They are the same in all arms: a comprehension question on a picture that only
some arms show excludes nobody, and who always answers "cannot tell" stays. Responses that are not valid are
no participants: they are set aside before.

**Correct.** A judgement is correct if it is `used` for a used concept or `unused` for an unused one.
`unknown` counts as not correct: who cannot tell has not identified the concept. Judgements whose truth is
not known are left out. There are two truths (see `materials.stimuli`), analysed one after the other.

**C5 on the scorecard.** One row per truth. Its effect is the weaker of two, both of which must be above 0:
accuracy with X_E minus accuracy in the control arm, and balanced accuracy with X_E minus one half (what
guessing between "used" and "not used" gives, and what answering "used" always gives; "cannot tell" gives
nothing, so guessing now and then gives less). One-sided tests at 2.5 % each, Holm-adjusted over the rows;
"does not hold" if either is below SMALLEST. Only responses of people count. The verdict is about accuracy
alone: how many different concepts people name ("diverse") is described, and not tested.
"""

EXCLUSIONS = {
    "comprehension": "at each attempt a comprehension question that every arm is asked was wrong",
    "attention": "both attention checks were failed",
    "haste": "the median time on a picture was below 4 seconds",
    "uniform": "every single judgement was 'used', or every single one 'not used'",
}
"""Name -> rule."""

FASTEST = 4.0
"""Median seconds on a picture below which a participant is excluded."""

SMALLEST = 0.05
"""The smallest difference in accuracy that is of interest: five points."""

"""The claims in words: what each says, what is measured for it, and what a result means."""

import re
import string

from cladec_utils.claims.interval import SMALLEST
from cladec_utils.claims.required import FAITHFUL_ALPHA

CLAIMS = {
    "C1": "reconstructions from the classifier carry more class-relevant information than an autoencoder's",
    "C1 frozen": "C1 as the frozen classifier C sees it, which knows no reconstructions",
    "C1 independent": "C1 as another classifier sees it, trained on the originals apart from C",
    "C1 against PCA": "C1 with as many principal components in the autoencoder's place",
    "C2": "the autoencoder's carry more information on the original",
    "C2 ssim": "C2 by structural similarity",
    "C2 against PCA": "C2 with principal components in the autoencoder's place",
    "C3": "alpha trades comprehensibility for fidelity, as agreement with C's decisions, by C and by others",
    "C3 frozen": "C3 as C alone sees it: others may see no garment where C does",
    "C3 loss": "alpha trades comprehensibility for fidelity, as C's cross-entropy on unseen images",
    "C4": "an arbitrary layer, or a subset of its neurons, can be explained",
    "C5": "non-experts identify diverse concepts that are relevant or irrelevant for the classifier",
    "C5 judgements": "C5 by single judgements, where one may say 'cannot tell'",
    "C6": "more relevant input areas than saliency methods: per map, metric, architecture and opponent",
    "C6 interaction": "how C6 turns out depends on the architecture",
    "control": "C1's advantage vanishes or reverses when C knows nothing of the classes, or other ones",
    "G1": "ours: concepts that C needs are kept in X_E, more than an untrained C would keep them",
    "G2": "ours: concepts that C does not need, and X_R shows, are dropped from X_E",
    "G3": "ours: alpha moves what X_E shows to a reader of originals towards what C uses",
    "G4": "ours: what planted concepts say survives the controls",
}
MEASURES = {
    "C1": "evaluation accuracy, X_E minus X_R",
    "C1 frozen": "accuracy of the frozen C, X_E minus X_R",
    "C1 independent": "accuracy of classifiers that saw originals alone, X_E minus X_R",
    "C1 against PCA": "evaluation accuracy, X_E minus PCA's",
    "C2": "MSE per pixel, X_E minus X_R",
    "C2 ssim": "structural similarity to the original, X_R minus X_E",
    "C2 against PCA": "MSE per pixel, X_E minus PCA's",
    "C3": f"alpha {FAITHFUL_ALPHA:g} against 0: MSE rises, and agreement with C on X rises, by C and by "
    "classifiers that are used for nothing else (the weakest)",
    "C3 frozen": f"alpha {FAITHFUL_ALPHA:g} against 0: MSE rises and C's agreement with X rises (the weaker)",
    "C3 loss": f"alpha {FAITHFUL_ALPHA:g} against 0: MSE rises and C's cross-entropy falls (the weaker)",
    "C4": "evaluation accuracy on X_E minus that on X_E of what the row names: random weights in C's place, "
    "as many neurons by chance, principal components, or the largest class's share (a low bar)",
    "C5": "right choices of participants with X_E minus those with a sham in its place, and minus one half "
    "(the weaker)",
    "C5 judgements": "the same of single judgements; 'cannot tell' is missing, in bounds wrong or at chance",
    "C6": "score of a map read from ClaDec minus that of a saliency method, the median or the best one on "
    "validation images, by removal of pixels (probability)",
    "C6 interaction": "C6's primary effect (map 'evidence' minus the median method) with vgg minus the same "
    "with resnet, on the same images; tested in both directions",
    "control": f"{SMALLEST['accuracy']:g} minus the advantage of X_E over X_R in evaluation accuracy",
    "G1": "accuracy of reading needed concepts, X_E minus X_E of a C with random weights; in rows named so: "
    "X_E minus X_R, plus 0.05 allowed",
    "G2": "accuracy of reading unneeded concepts that X_R shows, X_R minus X_E",
    "G3": f"contrast (accuracy of reading the same concepts from X_E where needed minus where not), alpha "
    f"{FAITHFUL_ALPHA:g} minus alpha 0, by a probe trained on originals; in rows named so by a fresh probe",
    "G4": "random weights, shuffled labels: contrast with C minus contrast with these in C's place; another "
    "decoder: the contrast itself; second RefAE: as G2, second X_R minus X_E",
}
UNITS = {
    **dict.fromkeys(("C1", "C1 frozen", "C1 independent", "C1 against PCA", "C4", "control"), "accuracy"),
    **{"C2": "MSE per pixel", "C2 against PCA": "MSE per pixel", "C2 ssim": "SSIM", "C6": "probability"},
    "C6 interaction": "probability",
    **dict.fromkeys(("C3", "C3 frozen", "C3 loss"), "of what the row names"),
    **dict.fromkeys(("G1", "G2", "G3", "G4"), "accuracy of reading a concept"),
}
"""Of the effects, for figures."""
DIRECTIONS = {
    "C1": ("X_E carries more class information than X_R", "X_R carries more class information than X_E"),
    "C1 frozen": ("C reads X_E better than X_R", "C reads X_R better than X_E"),
    "C1 independent": ("another classifier reads X_E better than X_R", "it reads X_R better than X_E"),
    "C1 against PCA": (
        "X_E carries more class information than PCA's images",
        "PCA's images carry more of it",
    ),
    "C2": ("X_R is closer to the original than X_E", "X_E is closer to the original than X_R"),
    "C2 ssim": ("X_R is more similar to the original than X_E", "X_E is more similar to it than X_R"),
    "C2 against PCA": ("PCA's images are closer to the original", "X_E is closer to the original"),
    "C3": ("it rises with alpha", "it falls with alpha"),
    "C3 frozen": ("it rises with alpha", "it falls with alpha"),
    "C3 loss": ("it changes with alpha as it should", "it changes the other way"),
    "C4": ("X_E is read better than what it is held against", "X_E is read worse than that"),
    "C5": ("people choose better with X_E", "people choose worse with X_E"),
    "C5 judgements": ("people judge better with X_E", "people judge worse with X_E"),
    "C6": ("ClaDec's map ahead", "saliency ahead"),
    "C6 interaction": ("ClaDec is further ahead, or less behind, with vgg", "the same with resnet"),
    "control": ("the advantage vanishes or reverses", "the advantage stays"),
    "G1": ("needed concepts are kept", "needed concepts are lost"),
    "G2": ("unneeded concepts are read worse from X_E", "unneeded concepts are read better from X_E"),
    "G3": ("alpha moves needed and unneeded concepts apart", "alpha moves them together"),
    "G4": ("it survives the control", "the control does better"),
}
"""What an effect above and one below 0 mean."""


_PLAIN = re.compile(r"\d+|[^\W\d_](?:[^\W_]|[ ,;/+=-]|:(?!/)|(?<=[^\W_])_(?=[^\W_]))*")


def literal(name: object) -> str:
    """A name of the user's for a text in Markdown, shown as it is: where it could be taken for marks, a
    formula or HTML, in code type, in which no formula is looked for, and with numbers in place of marks."""
    text = " ".join(str(name).split())
    if _PLAIN.fullmatch(text):
        return text
    return f"<code>{''.join(f'&#{ord(c)};' if c in string.punctuation else c for c in text)}</code>"

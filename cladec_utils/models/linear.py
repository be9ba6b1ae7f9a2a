"""The linear case in closed form: RefAE is principal component analysis, ClaDec is least squares.

With a linear encoder of k outputs, a linear decoder and squared error, the best autoencoder keeps the
k leading principal components of the centred images (Eckart and Young 1936; Baldi and Hornik 1989), and
the best decoder for given codes is the least-squares regression of the images on the codes. ClaDec's codes
are the class scores of a linear classifier. All matrices are float64; images are rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cladec_utils.errors import CladecError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LinearAutoencoder:
    """codes = (images - mean) @ encoder; reconstruction = codes @ decoder + offset.

    Shapes: mean (d,), encoder (d, k), decoder (k, d), offset (d,).
    """

    mean: Matrix
    encoder: Matrix
    decoder: Matrix
    offset: Matrix

    def codes(self, images: Matrix) -> Matrix:
        """(n, d) images to (n, k) codes."""
        return (images - self.mean) @ self.encoder

    def reconstruct(self, images: Matrix) -> Matrix:
        """(n, d) images to their reconstructions, not clipped."""
        return self.codes(images) @ self.decoder + self.offset


def classifier(images: Matrix, labels: NDArray[np.int64], classes: int, ridge: float = 1e-3) -> Matrix:
    """The least-squares linear classifier: (n, d) centred images and (n,) labels to weights (d, classes).

    Regresses one-hot labels, centred, on the images with a ridge of `ridge` x n for stability.
    """
    targets = np.eye(classes)[labels]
    gram = images.T @ images + ridge * len(images) * np.eye(images.shape[1])
    return np.linalg.solve(gram, images.T @ (targets - targets.mean(0)))


def refae(images: Matrix, k: int) -> LinearAutoencoder:
    """The best linear autoencoder with k codes: the k leading principal components of `images` (n, d).

    Raises CladecError unless 1 <= k <= min(n, d).
    """
    if not 1 <= k <= min(images.shape):
        raise CladecError(f"k is {k}; there are 1 to {min(images.shape)} principal components.")
    mean = images.mean(0)
    centred = images - mean
    # Eigenvectors of the (d, d) covariance: the same directions as an SVD of the (n, d) images, faster.
    components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :k]
    return LinearAutoencoder(mean, components, components.T, mean)


def cladec(images: Matrix, encoder: Matrix) -> LinearAutoencoder:
    """The best linear decoder for the codes (images - mean) @ encoder: least squares, minimum norm.

    Minimum norm, because the scores of all classes may be linearly dependent.
    """
    mean = images.mean(0)
    codes = (images - mean) @ encoder
    decoder = np.linalg.lstsq(codes, images - mean, rcond=1e-10)[0]
    return LinearAutoencoder(mean, encoder, decoder, mean)


def gradient_descent(codes: Matrix, images: Matrix, steps: int) -> Matrix:
    """Train a linear decoder (k, d) for centred codes (n, k) and images (n, d) by gradient descent from zero.

    Plain gradient steps on the squared error with the rate 1 / largest curvature, which always
    converges; the check that the closed form is what training tends to.
    """
    gram = codes.T @ codes / len(codes)
    cross = codes.T @ images / len(codes)
    rate = 1.0 / np.linalg.eigvalsh(gram)[-1]
    decoder = np.zeros_like(cross)
    for _ in range(steps):
        decoder -= rate * (gram @ decoder - cross)
    return decoder


def mse(images: Matrix, others: Matrix) -> float:
    """Mean squared error per pixel."""
    return float(np.mean((images - others) ** 2))

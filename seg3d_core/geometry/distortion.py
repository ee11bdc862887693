"""Lens distortion models in normalised image coordinates (x/z, y/z), in both directions.

Coefficients are in OpenCV's order, models under their ROS CameraInfo names:

    plumb_bob            k1 k2 p1 p2 k3                (Brown 1966: radial and tangential)
    rational_polynomial  k1 k2 p1 p2 k3 k4 k5 k6       (radial part is a quotient of polynomials)
    equidistant          k1 k2 k3 k4                   (Kannala & Brandt 2006: polynomial in the angle to the axis)
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

COEFFICIENTS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
"""Number of coefficients by distortion model."""

_ITERATIONS = 30
_CONVERGED = 1e-9
"""Largest error of an undone distortion, in normalised coordinates: a millionth of a pixel at f = 1000 px."""
_EDGE_RAD = 1.55
"""An equidistant lens may see sideways and backwards; rays with z = 1 exist only in front of the camera (< pi/2)."""


def distort(
    model: str, coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    """Ideal to distorted normalised coordinates; an empty ``model`` changes nothing."""
    if not model:
        return xy
    if model == "equidistant":
        return _distort_angle(coefficients, xy)
    return _distort_radial(coefficients, xy)


def undistort(
    model: str, coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    """Distorted to ideal normalised coordinates: the inverse of ``distort``; NaN where it has none."""
    if not model:
        return xy
    if model == "equidistant":
        return _undistort_angle(coefficients, xy)
    return _undistort_radial(coefficients, xy)


def _radial_terms(
    coefficients: Float64[np.ndarray, " D"], r2: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]:
    """The radial factor at squared radius ``r2`` and its derivative by ``r2``."""
    k1, k2, _, _, k3, *rest = coefficients
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    above_slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    if not rest:
        return above, above_slope
    k4, k5, k6 = rest
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    below_slope = k4 + r2 * (2 * k5 + r2 * 3 * k6)
    return above / below, (above_slope * below - above * below_slope) / below**2


def _distort_radial(
    coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    _, _, p1, p2, *_ = coefficients
    x, y = xy[:, 0], xy[:, 1]
    r2 = x * x + y * y
    factor, _ = _radial_terms(coefficients, r2)
    return np.stack(
        [
            x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * factor + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )


def _radial_jacobian(
    coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2 2"]:
    _, _, p1, p2, *_ = coefficients
    x, y = xy[:, 0], xy[:, 1]
    factor, slope = _radial_terms(coefficients, x * x + y * y)
    J = np.empty((len(xy), 2, 2))
    J[:, 0, 0] = factor + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    J[:, 0, 1] = J[:, 1, 0] = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    J[:, 1, 1] = factor + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return J


def _undistort_radial(
    coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    """Newton's method from the distorted point.

    Only the branch that contains the optical axis is a lens: there the Jacobian keeps a positive determinant, and a
    solution where it does not is the polynomial folding back on itself.
    """
    ideal = xy.copy()
    with np.errstate(all="ignore"):
        for _ in range(_ITERATIONS):
            error = _distort_radial(coefficients, ideal) - xy
            if not (np.abs(error) > _CONVERGED / 1e3).any():
                break
            J = _radial_jacobian(coefficients, ideal)
            determinant = J[:, 0, 0] * J[:, 1, 1] - J[:, 0, 1] ** 2
            ideal[:, 0] -= (J[:, 1, 1] * error[:, 0] - J[:, 0, 1] * error[:, 1]) / determinant
            ideal[:, 1] -= (J[:, 0, 0] * error[:, 1] - J[:, 0, 1] * error[:, 0]) / determinant
        J = _radial_jacobian(coefficients, ideal)
        regular = (J[:, 0, 0] > 0) & (J[:, 0, 0] * J[:, 1, 1] > J[:, 0, 1] ** 2)
        error = np.abs(_distort_radial(coefficients, ideal) - xy).max(axis=1, initial=0)
    ideal[~(regular & (error < _CONVERGED))] = np.nan
    return ideal


def _angle_polynomial(
    coefficients: Float64[np.ndarray, " D"], angle: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]:
    """Distorted angle and its derivative."""
    k1, k2, k3, k4 = coefficients
    a2 = angle * angle
    value = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return value, slope


def _distort_angle(
    coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    radius = np.linalg.norm(xy, axis=1)
    angle, _ = _angle_polynomial(coefficients, np.arctan(radius))
    distorted: Float64[np.ndarray, "N 2"] = xy * _ratio(angle, radius)[:, None]
    return distorted


def _undistort_angle(
    coefficients: Float64[np.ndarray, " D"], xy: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "N 2"]:
    distorted = np.linalg.norm(xy, axis=1)
    angle = np.minimum(distorted, _EDGE_RAD)
    with np.errstate(all="ignore"):
        for _ in range(_ITERATIONS):
            value, slope = _angle_polynomial(coefficients, angle)
            angle = np.clip(angle - (value - distorted) / slope, 0, _EDGE_RAD)
        value, slope = _angle_polynomial(coefficients, angle)
        known = (np.abs(value - distorted) < _CONVERGED) & (slope > 0) & (angle < _EDGE_RAD)
    ideal: Float64[np.ndarray, "N 2"] = xy * _ratio(np.tan(angle), distorted)[:, None]
    ideal[~known] = np.nan
    return ideal


def _ratio(above: Float64[np.ndarray, " N"], below: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """above / below, and 1 on the optical axis where both vanish."""
    ratio: Float64[np.ndarray, " N"] = np.divide(above, below, out=np.ones_like(above), where=below > 1e-12)
    return ratio

"""The grid's best run beside the best that the reference submission reports."""

import math

REFERENCE_ACCURACY = 0.8894
"""The reference's best accuracy, on the split that chose it, so it is a validation accuracy."""


def standard_error(accuracy, num_images):
    """Compute how far chance moves an accuracy that was measured on some images.

    The standard deviation of a binomial share, sqrt(p (1 - p) / n).
    """
    return math.sqrt(accuracy * (1 - accuracy) / num_images)


def against_reference(accuracy, num_images):
    """Say how far a validation accuracy is from the reference's, in points and standard errors.

    Parameters
    ----------
    accuracy : float
        A share, 0 to 1.
    num_images : int
        The validation images on which it was measured.

    Returns
    -------
    str
        One sentence.
    """
    error = standard_error(accuracy, num_images)
    distance = accuracy - REFERENCE_ACCURACY
    direction = "more" if distance > 0 else "less"
    if abs(distance) < error:
        in_errors = "less than one standard error"
    else:
        in_errors = f"{abs(distance) / error:.1f} standard errors"
    reference = percent(REFERENCE_ACCURACY)
    return (
        f"Against the reference's {reference} the accuracy of {percent(accuracy)} "
        f"is {100 * abs(distance):.2f} points {direction}: {in_errors} "
        f"({100 * error:.2f} points on {num_images:,} images)."
    )


def percent(share):
    """Write a share in percent, with enough digits to keep 88.57 and 88.65 apart."""
    return f"{100 * share:.2f} %"

"""The figure of part B: how wrong each numerical derivative is, by its step size."""

from helpers.figures import style


@style.picture(
    caption="""The relative error of each derivative over a sample of weights, by its step size.
    Good: differences whose error falls with a smaller step, until rounding makes it rise again,
    and a complex step that goes down to the bottom and stays there. Bad: a curve that levels off
    high above the bottom, as it does for a wrong gradient. At the largest steps the differences
    jump: moved that far, weights switch units on and off, and ReLU has a kink there.""",
    alt="""Errors over the step size: those of 2-point and 3-point differences have the shape of a
    V; that of the complex step is flat near 1e-16 for small steps; in float32 it is near 1 for
    most steps.""",
)
def error_against_step(steps, errors):
    """Draw how wrong derivatives are.

    Parameters
    ----------
    steps : ndarray, shape (S,)
    errors : dict of str to ndarray, shapes (S,)
        The relative errors of each way to compute derivatives, "complex step" and "3-point" among
        them, as `helpers.gradient_check.step_curve` gives them.
    """
    fig, ax = style.figure(4.0)
    for name, relative_errors in errors.items():
        ax.plot(steps, relative_errors, "o-", label=name)
    ax.set(xscale="log", xlabel="step size")
    ax.set(yscale="log", ylabel="relative error of the gradient", ylim=(1e-17, 10))
    fig.legend(loc="outside lower center", ncols=len(errors))
    complex_step = errors["complex step"].min()
    difference = errors["3-point"].min()
    return fig, f"Complex steps are right to {complex_step:.0e}, differences to {difference:.0e}"

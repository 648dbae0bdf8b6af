"""The figure of part B: how wrong each numerical derivative is, by its step size."""

from helpers.figures import style


@style.picture(
    caption="""The relative error of each derivative over a sample of weights, and what is
    predicted for it from truncation (dashed) and rounding (dotted). Good: markers on the
    predicted lines, and a complex step that stays flat at the bottom. Bad: any curve that
    levels off high above its lines, as a wrong gradient does. At the largest steps differences
    leave their lines: moved that far, weights switch units on and off, and ReLU has a kink
    there.""",
    alt="""Errors over the step size: those of 2-point and 3-point differences fall along the
    rounding lines and rise along the truncation lines; that of the complex step is flat near 1e-16
    for small steps; in float32 it is near 1 for most steps.""",
)
def error_against_step(curve):
    """Draw a `gradient_check.StepCurve`, measured and predicted."""
    fig, ax = style.figure(4.4)
    colours = {}
    for name, errors in curve.errors.items():
        [line] = ax.plot(curve.steps, errors, "o-", label=name)
        colours[name] = line.get_color()
    for name, predicted in curve.truncation.items():
        ax.plot(curve.steps, predicted, "--", color=colours[name], lw=1)
    for name, predicted in curve.rounding.items():
        ax.plot(curve.steps, predicted, ":", color=colours[name], lw=1)
    ax.set(xscale="log", xlabel="step size")
    ax.set(yscale="log", ylabel="relative error of the gradient", ylim=(1e-17, 10))
    fig.legend(loc="outside lower center", ncols=4)
    best = curve.errors["complex step"].min()
    difference = curve.errors["3-point"].min()
    return fig, f"Complex steps are right to {best:.0e}, differences at best to {difference:.0e}"

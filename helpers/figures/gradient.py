"""The figure of part B: how wrong each numerical derivative is, by its step size."""

from helpers.figures import style


@style.picture
def error_against_step(curve):
    """Draw a `gradient_check.StepCurve`; what is predicted is dashed (truncation) or dotted."""
    fig, error = style.figure(3.9)
    for (name, errors), marker in zip(curve.errors.items(), "osDv", strict=False):
        [line] = error.plot(curve.steps, errors, marker=marker, ms=4, label=name)
        look = {"color": line.get_color(), "lw": 1.1, "zorder": 1}
        for predicted, dashes in (curve.truncation, "--"), (curve.rounding, ":"):
            if name in predicted:
                error.plot(curve.steps, predicted[name], dashes, **look)
    for label, dashes in ("truncation, predicted", "--"), ("rounding, predicted", ":"):
        error.plot([], [], dashes, color=style.GREY, lw=1.1, label=label)
    error.set(xscale="log", yscale="log", ylim=(1e-17, 10))
    error.set(xlabel="step size", ylabel="relative error of the gradient")
    fig.legend(*error.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    error.grid()
    best, difference = curve.errors["complex step"].min(), curve.errors["3-point"].min()
    return fig, f"Complex steps are right to {best:.0e}, differences at best to {difference:.0e}"

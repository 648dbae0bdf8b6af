"""The figure of part B: how wrong each numerical derivative is, by its step size."""

from helpers.figures import style


@style.picture
def error_against_step(curve):
    """Draw a `gradient_check.StepCurve`; what is predicted is dashed (truncation) or dotted."""
    fig, (error, kinks) = style.figure(4.8, 2, 1, sharex=True, height_ratios=(3, 1))
    for (name, errors), marker in zip(curve.errors.items(), "osDv", strict=False):
        [line] = error.plot(curve.steps, errors, marker=marker, ms=4, label=name)
        look = {"color": line.get_color(), "lw": 1.1, "zorder": 1}
        for predicted, dashes in (curve.truncation, "--"), (curve.rounding, ":"):
            if name in predicted:
                error.plot(curve.steps, predicted[name], dashes, **look)
    for label, dashes in ("truncation, predicted", "--"), ("rounding, predicted", ":"):
        error.plot([], [], dashes, color=style.GREY, lw=1.1, label=label)
    error.set(yscale="log", ylim=(1e-17, 10), ylabel="relative error of the gradient")
    fig.legend(*error.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    kinks.plot(curve.steps, curve.kinks, color=style.GREY, marker=".")
    kinks.set(xscale="log", yscale="symlog", ylim=(0, 2 * max(curve.kinks.max(), 5)))
    kinks.set(xlabel="step size", ylabel="kinks crossed")
    for ax in error, kinks:
        ax.grid()
    best, difference = curve.errors["complex step"].min(), curve.errors["3-point"].min()
    return fig, f"Complex steps are right to {best:.0e}, differences at best to {difference:.0e}"

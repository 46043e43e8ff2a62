"""Do presence scores mean what they say? The reliability diagram."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pvchat.metrics.functional.calibration import ReliabilityBins, expected_calibration_error

INK, LINE, MANY = "#1f78b4", "#b0b0b0", "#d8d8d8"


def plot_reliability(bins: ReliabilityBins) -> Figure:
    """Share of questions where the person is there over the probability that the model gives, above how many
    questions have that probability."""
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = [i for i, n in enumerate(bins.total.tolist()) if n]
    said, there = (
        [float(values[i]) for i in filled] for values in (bins.mean_probability, bins.share_present)
    )
    above.plot([0, 1], [0, 1], color=LINE, linestyle="--", linewidth=1)
    above.plot(said, there, color=INK, marker="o", markersize=5, linewidth=1.5)
    above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share that is there")
    above.set_title(f"ECE {expected_calibration_error(bins):.3f}", loc="left", fontsize=10)
    count = len(bins.total)
    below.bar([(i + 0.5) / count for i in range(count)], bins.total.tolist(), 0.9 / count, color=MANY)
    below.set(xlabel="probability that the person is there", ylabel="questions")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure

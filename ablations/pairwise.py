"""Table 2a, instantiations: which pairwise function f?

The paper's claim (section 5.1): one non-local block improves the C2D baseline by about 1 point of top-1, with
any of the four forms: "the generic non-local behavior is the main reason for the observed improvements", not
the attentional softmax.

Axis: f is Gaussian, embedded Gaussian, dot product or concatenation, or a form of your own.
Fixed: C2D ResNet-50, one spacetime block before the last residual block of res4, 32-frame clips.

Command: make table2a
Cost: 5 runs a seed, 2.4 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 63.1 %; Gaussian +22.2 [19.9, 24.5], Gaussian, embed +23.6 [22.3,
    24.9], dot-product +24.6 [23.3, 25.9], concatenation +24.5 [23.2, 25.8]
"""

from nlrepro.spec import NetSpec
from nlrepro.stats.verdicts import Alike, Beats, beat
from nlrepro.table import Cell, Table, rows

NETS = {
    "C2D baseline": NetSpec(),
    "Gaussian": NetSpec(blocks="res4", form="gaussian"),
    "Gaussian, embed": NetSpec(blocks="res4", form="embedded"),
    "dot-product": NetSpec(blocks="res4", form="dot"),
    "concatenation": NetSpec(blocks="res4", form="concatenation"),
}
FORMS = ("Gaussian", "Gaussian, embed", "dot-product", "concatenation")  # of the paper

TABLE = Table(
    name="2a",
    title="Instantiations: 1 non-local block of different types added to the C2D baseline",
    rows=rows(NETS),
    variants=("mini-start1", "mini-start2"),
    claims=(
        Beats("each form beats the baseline", beat("2a", *((form, "C2D baseline") for form in FORMS))),
        Alike(
            "the forms are alike",
            alike=tuple(Cell("2a", 50, form) for form in FORMS),
            baseline=Cell("2a", 50, "C2D baseline"),
        ),
    ),
)

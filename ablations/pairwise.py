"""Table 2a, instantiations: which pairwise function f?

The paper's claim (section 5.1): one non-local block improves the C2D baseline by about 1 point of top-1, with any of the four
forms: "the generic non-local behavior is the main reason for the observed improvements", not the attentional softmax.

Axis: f is Gaussian, embedded Gaussian, dot product or concatenation, or a form of your own (nlrepro/nets/forms.py).
Fixed: C2D ResNet-50, one spacetime block before the last residual block of res4, 32-frame clips.

Command: make table2a
Cost: 5 runs a seed, 2.0 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 64.0 %; Gaussian +14.1 [10.2, 18.0], Gaussian, embed +20.8 [19.3, 22.3],
    dot-product +21.8 [20.8, 22.8], concatenation +21.8 [20.8, 22.7]
"""

from typing import ClassVar

from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.nets.forms import forms
from nlrepro.report.claims import Alike, Beats, Cell, Claim, beat
from nlrepro.spec import NetSpec, RunSpec

LABELS = {"gaussian": "Gaussian", "embedded": "Gaussian, embed", "dot": "dot-product", "concatenation": "concatenation"}


class PairwiseForm(Ablation):
    table: ClassVar[str] = "2a"
    title: ClassVar[str] = "Instantiations: 1 non-local block of different types added to the C2D baseline"
    rows: ClassVar[tuple[Row, ...]] = (
        Row("C2D baseline"),
        *(Row(LABELS.get(form, form), {"form": form}) for form in forms()),  # your own too, under their names
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2a",
            text="each form beats the baseline",
            pairs=beat("2a", 50, *((form, "C2D baseline") for form in LABELS.values())),
        ),
        Alike(
            table="2a",
            text="the forms are alike",
            cells=tuple(Cell("2a", 50, form) for form in LABELS.values()),
            baseline=Cell("2a", 50, "C2D baseline"),
        ),
    )

    @staticmethod
    def spec(*, form: str | None = None) -> RunSpec:
        return RunSpec(net=NetSpec(blocks="res4", form=form) if form else NetSpec())

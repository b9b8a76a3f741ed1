"""Table 2a, instantiations: which pairwise function f?

The paper's claim (section 5.1): one non-local block improves the C2D baseline by about 1 point of top-1, with any of the four
forms: "the generic non-local behavior is the main reason for the observed improvements", not the attentional softmax.

Axis: f is Gaussian, embedded Gaussian, dot product or concatenation, or a form of your own (nlrepro/nets/forms.py).
Fixed: C2D ResNet-50, one spacetime block before the last residual block of res4, 32-frame clips.
"""

from typing import ClassVar, get_args

from ablations.axis import Ablation, Row
from nlrepro.nets.forms import forms
from nlrepro.report.contrasts import Alike, Beats, Cell, Claim, beat
from nlrepro.spec import Form, NetSpec, RunSpec

FORMS = ("Gaussian", "Gaussian, embed", "dot-product", "concatenation")  # the paper's


class PairwiseForm(Ablation):
    table: ClassVar[str] = "2a"
    title: ClassVar[str] = "Instantiations: 1 non-local block of different types added to the C2D baseline"
    rows: ClassVar[tuple[Row, ...]] = (
        Row("C2D baseline", None),
        Row("Gaussian", "gaussian"),
        Row("Gaussian, embed", "embedded"),
        Row("dot-product", "dot"),
        Row("concatenation", "concatenation"),
        *(Row(name, name) for name in forms() if name not in get_args(Form)),
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2a",
            text="each form beats the baseline",
            pairs=beat("2a", 50, *((form, "C2D baseline") for form in FORMS)),
        ),
        Alike(
            table="2a",
            text="the forms are alike",
            cells=tuple(Cell("2a", 50, form) for form in FORMS),
            baseline=Cell("2a", 50, "C2D baseline"),
        ),
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        return RunSpec(net=NetSpec(depth=row.depth, blocks="res4", form=row.value) if row.value else NetSpec(depth=row.depth))

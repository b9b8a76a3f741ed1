"""The sentences that the paper draws from Table 2 (section 5.1), as data.

Departure: "in general" is read as all steps but those that the paper's own numbers do not show (ten blocks in ResNet-101).
"""

from nlrepro.reports.contrasts import Alike, Beats, Cell, Cheaper, Claim


def beat(table: str, depth: int, *pairs: tuple[str, str]) -> tuple[tuple[Cell, Cell], ...]:
    """Pairs (better, worse) of rows of one table and depth."""
    return tuple((Cell(table, depth, better), Cell(table, depth, worse)) for better, worse in pairs)


_BASELINE_2A = Cell("2a", 50, "C2D baseline")
_FORMS = tuple(Cell("2a", 50, label) for label in ("Gaussian", "Gaussian, embed", "dot-product", "concatenation"))
_EARLY = ("res2", "res3", "res4")
_MODELS = ("C2D baseline", "I3D", "NL I3D")

CLAIMS: tuple[Claim, ...] = (
    Beats(table="2a", text="each form beats the baseline", pairs=tuple((form, _BASELINE_2A) for form in _FORMS)),
    Alike(table="2a", text="the forms are alike", cells=_FORMS, baseline=_BASELINE_2A),
    Beats(
        table="2b",
        text="a block helps in every stage",
        pairs=beat("2b", 50, *((stage, "baseline") for stage in (*_EARLY, "res5"))),
    ),
    Alike(
        table="2b",
        text="res2, res3 and res4 are alike",
        cells=tuple(Cell("2b", 50, stage) for stage in _EARLY),
        baseline=Cell("2b", 50, "baseline"),
    ),
    Beats(table="2b", text="res5 gains less", pairs=beat("2b", 50, *((stage, "res5") for stage in _EARLY))),
    Beats(
        table="2c",
        text="more blocks are better",
        pairs=beat("2c", 50, ("1-block", "baseline"), ("5-block", "1-block"), ("10-block", "5-block"))
        + beat("2c", 101, ("1-block", "baseline"), ("5-block", "1-block")),
    ),
    Beats(
        table="2c",
        text="R50 with five blocks beats the R101 baseline: it is not only depth",
        pairs=((Cell("2c", 50, "5-block"), Cell("2c", 101, "baseline")),),
    ),
    Beats(  # the paper: "the accuracy is not increased" by residual blocks; it prints no number
        table="2c",
        text="five non-local blocks beat five residual blocks",
        pairs=beat("2c", 50, ("5-block", "5 residual blocks")),
    ),
    Beats(
        table="2d",
        text="space-only and time-only beat the baseline",
        pairs=tuple(
            pair for depth in (50, 101) for pair in beat("2d", depth, ("space-only", "baseline"), ("time-only", "baseline"))
        ),
    ),
    Beats(
        table="2d",
        text="spacetime beats space-only and time-only",
        pairs=tuple(
            pair for depth in (50, 101) for pair in beat("2d", depth, ("spacetime", "space-only"), ("spacetime", "time-only"))
        ),
    ),
    Beats(
        table="2e",
        text="the non-local C2D beats both I3D",
        pairs=beat("2e", 101, ("NL C2D, 5-block", "I3D 3x3x3"), ("NL C2D, 5-block", "I3D 3x1x1")),
    ),
    Cheaper(
        table="2e",
        text="the non-local C2D takes fewer FLOPs than both I3D",
        pairs=beat("2e", 101, ("NL C2D, 5-block", "I3D 3x3x3"), ("NL C2D, 5-block", "I3D 3x1x1")),
    ),
    Beats(
        table="2f",
        text="non-local blocks improve I3D at both depths",
        pairs=beat("2f", 50, ("NL I3D", "I3D")) + beat("2f", 101, ("NL I3D", "I3D")),
    ),
    Beats(
        table="2g",
        text="every model gains from longer clips",
        pairs=tuple((Cell("2g", depth, model), Cell("2f", depth, model)) for depth in (50, 101) for model in _MODELS),
    ),
    Beats(
        table="2g",
        text="NL I3D keeps its gain over I3D on long clips",
        pairs=beat("2g", 50, ("NL I3D", "I3D")) + beat("2g", 101, ("NL I3D", "I3D")),
    ),
)

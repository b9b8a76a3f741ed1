"""How figures look and how they are saved: figures.mplstyle, and SVG whose bytes follow from what is drawn.

The same drawing gives the same bytes with the same version of matplotlib. What has the colour of the text in the style sheet is
written as `currentColor`: dark ink on a light page, light ink on a dark one.
"""

from contextlib import AbstractContextManager
from importlib import resources
from io import BytesIO

from matplotlib import rc_params_from_file, style
from matplotlib.figure import Figure

with resources.as_file(resources.files("nlrepro.report") / "figures.mplstyle") as _sheet:
    _RC = rc_params_from_file(_sheet, use_default_template=False)
INK: str = _RC["text.color"]
INK_ON_DARK = "#e4e7eb"
SERIES: tuple[tuple[str, str], ...] = tuple((look["color"], look["marker"]) for look in _RC["axes.prop_cycle"])
THEME = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"


def styled() -> AbstractContextManager[None]:
    """The style sheet on top of matplotlib's defaults, so that the reader's own settings do not change the figure."""
    return style.context(["default", "nlrepro.report.figures"])


def to_svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    head, opening, body = buffer.getvalue().decode().replace(INK, "currentColor").partition("<svg ")
    attributes, end, rest = body.partition(">")
    return f"{head}{opening}{attributes}{end}\n {THEME}{rest}".encode()

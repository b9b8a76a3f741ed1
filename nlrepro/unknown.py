"""Records of pairwise forms that are not defined, such as of your own that you have removed: left out everywhere, and told."""

from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.record import OfUnknownForm, again


def unknown(results: Path, profile: str) -> list[str]:
    """A line a form: its records and evaluations, and what to do."""
    found: dict[str, list[str]] = {}
    for path in sorted((results / "records" / profile).glob("*/*.json")):
        read = evaluations.read if path.name.startswith("weights-") else records.read
        try:
            read(path)
        except OfUnknownForm as error:
            found.setdefault(error.form, []).append(str(path))
        except BadInput:  # damaged: whoever needs the record says so
            pass
    return [
        f"unknown form {form!r}, records left out: {', '.join(paths)}; {again(form)}, or remove them"
        for form, paths in found.items()
    ]

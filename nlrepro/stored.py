"""JSON files that are read back: whole, damaged, in the place of another, or of a pairwise form that is gone."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from nlrepro.errors import BadInput
from nlrepro.profile import explain
from nlrepro.spec import UnknownForm

T = TypeVar("T")


class Damaged(BadInput):
    """A file that cannot be read as what its place says, or whose content belongs elsewhere."""


class OfUnknownForm(BadInput):
    """A record of a pairwise form that is not defined, such as one of your own that you have removed."""

    def __init__(self, what: str, path: Path, form: str) -> None:
        super().__init__(f"the {what} {path} is of the unknown form {form!r}; {again(form)}, or remove the {what}")
        self.path, self.form = path, form


def again(form: str) -> str:
    """What to do about a form that is not defined."""
    return f"define a function {form} with @form again, in nlrepro/nets/forms.py"


def read_as(kind: type[T], path: Path, what: str, advice: str) -> T:
    """Read a JSON file; if it is damaged, the error calls it `what` and gives the `advice`.

    Raises:
        Damaged: the file cannot be read, is not JSON, or a field is missing, unknown or of the wrong type.
        OfUnknownForm: it is of a form that is not defined.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise Damaged(f"the {what} {path} is damaged: {error.strerror}; {advice}") from None
    except ValidationError as error:
        reasons = [detail.get("ctx", {}).get("error") for detail in error.errors()]
        for reason in reasons:
            if isinstance(reason, UnknownForm):
                raise OfUnknownForm(what, path, reason.form) from None
        raise Damaged(f"the {what} {path} is damaged: {explain(error)}; {advice}") from None


def demand_place(path: Path, place: Path, advice: str) -> None:
    """
    Raises:
        Damaged: the file at `path` lies elsewhere than its content says: at `place`, below the results.
    """
    if path.parts[-3:] != place.parts[-3:]:
        raise Damaged(f"the record {path} is damaged: its content is that of {'/'.join(place.parts[-3:])}; {advice}")


def read_good(paths: Iterable[Path], read: Callable[[Path], T]) -> list[T]:
    """All but damaged ones and those of unknown forms."""
    good = []
    for path in paths:
        with suppress(Damaged, OfUnknownForm):
            good.append(read(path))
    return good

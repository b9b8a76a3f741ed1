"""The paper's numbers by table and row, and the counted costs of its nets, from CSV files. No torch."""

import csv
from functools import cache
from importlib import resources

Place = tuple[int, str]  # depth of the backbone and label of a row


def lines(name: str) -> list[dict[str, str]]:
    """The lines of a CSV file of this folder."""
    with resources.files(__name__).joinpath(f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


@cache
def numbers(table: str) -> dict[Place, dict[str, float]]:
    """The numbers of each row by the name of its column; columns that are empty there are left out."""
    match table:
        case "3":
            return {
                (0, f"{line['model']}, {line['backbone']}"): _floats(line, strip="_val")
                for line in lines("table3")
            }
        case "4":
            return {
                (101, f"{line['model']}, {split}"): {"map": float(line[column])}
                for line in lines("table4")
                for split, column in (("train/val", "map_train_val"), ("trainval/test", "map_trainval_test"))
                if line[column]
            }
        case "5" | "6":
            rows = lines(f"table{table}")
        case _:
            rows = [line for line in lines("table2") if line["table"] == table]
    return {(int(line["backbone"][1:]), line["row"]): _floats(line) for line in rows}


def _floats(line: dict[str, str], strip: str = "") -> dict[str, float]:
    """The cells of a line that are numbers."""
    names = ("table", "backbone", "row", "model", "modality")
    return {
        name.removesuffix(strip): float(cell) for name, cell in line.items() if cell and name not in names
    }


@cache
def costs() -> dict[str, tuple[int, int]]:
    """Parameters and multiply-adds at the paper's scale, by run key, as tests/test_cost.py counts them.

    Of a clip of 32 or 128 x 224 x 224, or of a whole detector on an image of 800 x 1333.
    """
    return {line["key"]: (int(line["params"]), int(line["macs"])) for line in lines("costs")}

"""What each ingredient of a training bought: several trained networks on the same two protocols.

    FACERELIEF_DATA=... python benchmarks/ablation.py [--keep] WHAT=FILE ...

FILE is a checkpoint of a run (last.ckpt beside its config.yaml) or an exported .onnx file, WHAT its
line in the table; the first one is what the others are compared with. --keep leaves the lines of
before and replaces those of the same name. No test figure should choose between trainings: this is
to report them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from networks import as_onnx, named
from tables import ablation_markdown, read, write

from facerelief.evaluate import EvaluationError, run_basel, run_yaleb
from facerelief.evaluate.basel import PARTS


def lines(named: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """A line for each network, and one for each floor, of mean errors in degrees."""
    files = []
    for index, file in enumerate(named.values()):
        files.append(str(folder / f"{index}.onnx"))
        as_onnx(file, folder / f"{index}.onnx")
    photographs = run_yaleb(files, folder / "yaleb", progress=True)
    renderings = run_basel(files, folder / "basel", progress=True)
    labels = {Path(file).stem: what for file, what in zip(files, named, strict=True)}
    floors = [photographs["floor"], *renderings["floors"]]
    result = []
    for label in dict.fromkeys([*labels, *floors]):
        yaleb = photographs["systems"].get(label)
        basel = renderings["systems"].get(label)
        result.append(
            {
                "what": labels.get(label, label),
                "floor": label not in labels,
                "sha256": basel.get("sha256") if basel else None,
                "yaleb": yaleb and yaleb["pooled"]["mean"],
                **{part: basel and basel[part]["mean"] for part in PARTS},
            }
        )
    return result


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of both in order, the new one where both have a name; floors come last."""
    named = {line["what"]: line for line in old} | {line["what"]: line for line in new}
    return sorted(named.values(), key=lambda line: line["floor"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="+", metavar="WHAT=FILE")
    parser.add_argument("--keep", action="store_true", help="keep the lines of before")
    options = parser.parse_args()
    try:
        pairs = named(options.networks)
    except ValueError as error:
        parser.error(str(error))
    try:
        with TemporaryDirectory() as folder:
            new = lines(pairs, Path(folder))
    except (EvaluationError, OSError, ValueError) as error:
        parser.error(str(error))
    old = read("ablation") if options.keep else None
    result = merged(old or [], new)
    write("ablation", result)
    print(ablation_markdown(result))


if __name__ == "__main__":
    main()

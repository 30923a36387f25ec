"""A day's scans arrive: `python arrive.py [DAY]` writes them below data/, and keeps the held-out batch in the store."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pipeline import held_out
from sklearn.datasets import load_digits

from jeyn import Workspace

HERE = Path(__file__).resolve().parent
# Which of scikit-learn's 1797 scanned digits arrive on which day; the third is a poor one.
DAYS = {1: slice(0, 200), 2: slice(200, 700), 3: slice(700, 800), 4: slice(800, 1400)}
HELD_OUT = slice(1400, None)


def write(path: Path, rows: slice) -> None:
    """Write these scans as a Parquet file, unless it is there."""
    if path.exists():
        return
    pixels, labels = load_digits(return_X_y=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(pixels[rows].astype(np.float32).reshape(-1)), 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"pixels": column, "label": labels[rows]}), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("day", type=int, nargs="?", default=1, choices=DAYS, help="which day's scans (default: 1)")
    day = parser.parse_args().day
    write(HERE / "data" / "holdout" / "scans.parquet", HELD_OUT)
    write(HERE / "data" / f"day-{day}.parquet", DAYS[day])
    with Workspace.open(HERE) as workspace:
        batch = workspace.dataset_store.save_batch(held_out.get_new_batch())
    print(f"data/day-{day}.parquet has {DAYS[day].stop - DAYS[day].start} scans; held out: {batch.ref}, {batch.rows}")
    print(f"next: jeyn run {os.path.relpath(HERE / 'pipeline.py')}")


if __name__ == "__main__":
    main()

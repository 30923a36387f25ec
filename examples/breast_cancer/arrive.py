"""A clinic's biopsies arrive: `python arrive.py [CLINIC]` writes them below data/, and those to be held out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer

HERE = Path(__file__).resolve().parent
# Which of scikit-learn's 569 biopsies (Wisconsin, 1995) come from which clinic.
CLINICS = {1: slice(0, 60), 2: slice(60, 300), 3: slice(300, 400)}
HELD_OUT = slice(400, None)


def write(path: Path, rows: slice) -> None:
    """Write these biopsies as a Parquet file, unless it is there."""
    if path.exists():
        return
    measures, benign = load_breast_cancer(return_X_y=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(measures[rows].astype(np.float32).reshape(-1)), 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"measures": column, "malignant": (1 - benign[rows]).astype(np.float32)}), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clinic", type=int, nargs="?", default=1, choices=CLINICS, help="which clinic's (default: 1)")
    clinic = parser.parse_args().clinic
    write(HERE / "data" / "holdout" / "biopsies.parquet", HELD_OUT)
    write(HERE / "data" / f"clinic-{clinic}.parquet", CLINICS[clinic])
    print(f"data/clinic-{clinic}.parquet has {CLINICS[clinic].stop - CLINICS[clinic].start} biopsies")
    print(f"next: jeyn run {os.path.relpath(HERE / 'pipeline.py')}")


if __name__ == "__main__":
    main()

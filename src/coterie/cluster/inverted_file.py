"""A program of its own, which never loads torch: nearest neighbours by faiss's inverted file.

    python inverted_file.py FOLDER NEIGHBOURS THREADS

FOLDER holds points.npy (N, D) float32 and maybe among.npy (S,), the rows that can be neighbours; distances.npy (N, k)
float32, Euclidean, and places.npy (N, k) int64, rows of the points, are put there.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This file's own folder, whose names are none of the packages' below.
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np

# Points of a cell on average, those it is found from, and iterations that find it.
_MEMBERS, _SAMPLE_EACH, _ITERATIONS = 100, 20, 5
# Cells a point's neighbours are sought in, and how many points in these at the most: copies of one share a cell.
_LOOKED_IN, _MOST = 32, 1 << 15
# Points that are asked for at a time.
_ASKED = 1 << 14


def search(folder: Path, neighbours: int, threads: int) -> None:
    import faiss

    faiss.omp_set_num_threads(threads)
    points = np.load(folder / "points.npy", mmap_mode="r")
    among = np.load(folder / "among.npy") if (folder / "among.npy").is_file() else None
    known = np.ascontiguousarray(points if among is None else points[among])
    cells = max(1, len(known) // _MEMBERS)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], cells)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = _ITERATIONS, _SAMPLE_EACH, 1
    index.train(known)
    index.add(known)
    shape = (len(points), neighbours)
    distances = np.lib.format.open_memmap(folder / "distances.npy", "w+", np.float32, shape)
    places = np.lib.format.open_memmap(folder / "places.npy", "w+", np.int64, shape)
    for start in range(0, len(points), _ASKED):
        asked = np.ascontiguousarray(points[start : start + _ASKED])
        index.nprobe, index.max_codes = min(cells, _LOOKED_IN), _MOST
        squares, found = index.search(asked, neighbours)
        short = np.flatnonzero(found[:, -1] < 0)  # Too few points in those cells.
        if len(short):
            index.nprobe, index.max_codes = cells, 0
            squares[short], found[short] = index.search(asked[short], neighbours)
        distances[start : start + _ASKED] = np.sqrt(squares)
        places[start : start + _ASKED] = found if among is None else among[found]


if __name__ == "__main__":
    search(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""Assignments in the layout of COCO's annotations (Lin et al., arXiv 1405.0312; the data format at cocodataset.org).

One JSON object with `info`, `licenses`, `images` (id, file_name, and width and height in pixels), `categories` (id,
name, supercategory) and `annotations` (id, image_id, category_id, bbox [left, top, width, height], area, iscrowd). Ids
count from 1. An annotation is of the whole image; `score`, as in COCO's results, is the confidence, and `outlier` is
our own. Sizes are as stored in the file; where the images are no longer there, or were no files, sizes and boxes are
left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coterie.export.base import Format, Subject


def check(subject: Subject) -> None:
    _ = subject.assignments


def write(subject: Subject, target: Path) -> str:
    import coterie
    from coterie.data.reading.stored import stored_size
    from coterie.files import write_json
    from coterie.text import printable

    table, (names, places) = subject.assignments, subject.classes
    images, annotations = [], []
    for place, key in enumerate(table.keys):
        size = stored_size(subject.files[key]) if key in subject.files else None
        image: dict[str, Any] = {"id": place + 1, "file_name": printable(key)}
        annotation: dict[str, Any] = {
            "id": place + 1,
            "image_id": place + 1,
            "category_id": places[place] + 1,
            "iscrowd": 0,
            "score": float(table.confidence[place]),
            "outlier": bool(table.outlier[place]),
        }
        if size is not None:
            width, height = size
            image |= {"width": width, "height": height}
            annotation |= {"bbox": [0, 0, width, height], "area": width * height}
        images.append(image)
        annotations.append(annotation)
    content = {
        "info": {"description": "Groups of images found by coterie", "version": coterie.__version__},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number + 1, "name": name, "supercategory": "group"} for number, name in enumerate(names)],
    }
    write_json(target, content)
    unknown = sum("width" not in image for image in images)
    without = (
        f"; sizes and boxes of {unknown} are left out, as the files are not there or not what the run read"
        if unknown
        else ""
    )
    return f"{target}: {len(images)} images in {len(names)} categories, in COCO's layout{without}"


FORMAT = Format("the assignments in the layout of COCO's annotations, each of a whole image", write, check)

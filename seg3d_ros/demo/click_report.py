"""What the clicking demo leaves behind: a table, a picture of every step of every object, and the accepted objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seg3d_core.data.cloud_files import write_cloud
from seg3d_core.evaluation.click_pictures import ShownStep, click_caption, save_steps
from seg3d_core.pictures import before_after, save_png
from seg3d_core.types import Cloud
from seg3d_ros.demo.clicking import Clicked, ClickedTarget
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.table import Row, format_table


def write_click_report(options: DemoOptions, clicked: Clicked, rows: Sequence[Row]) -> None:
    """Print the table, ``rows`` first, and write the files."""
    table = [*rows, *_object_rows(clicked.objects), *_total_rows(clicked)]
    print(f"\n{format_table(table)}\n")
    cloud = clicked.accepted.cloud
    for number, each in enumerate(clicked.objects, 1):
        _save_steps(options.out / "clicks" / f"{number}_{_file_name(each.target.name)}.png", cloud, each)
    picture, accepted = options.out / "accepted.png", options.out / "accepted.ply"
    save_png(picture, before_after(cloud, clicked.accepted))
    write_cloud(accepted, cloud, clicked.accepted)
    print(f"clicks     {options.out / 'clicks'}, a picture of each step\npicture    {picture}\ncloud      {accepted}")
    print(f"recording  {options.out / 'recording'} (rosbag2, MCAP)\nlogs       {options.out / 'logs'}")


def _object_rows(objects: Sequence[ClickedTarget]) -> list[Row]:
    """What each click brought."""
    rows = []
    for each in objects:
        ious = "" if each.steps[0].iou is None else f"IoU {' '.join(f'{step.iou:.2f}' for step in each.steps)}, "
        times = " ".join(f"{1e3 * step.seconds:.0f}" for step in each.steps)
        points = int(each.steps[-1].mask.sum())
        rows.append((each.target.name, f"{ious}{points:,} points; {times} ms from click to mask"))
    return rows


def _total_rows(clicked: Clicked) -> list[Row]:
    objects = clicked.objects
    first = [each.steps[0].seconds for each in objects]
    later = [step.seconds for each in objects for step in each.steps[1:]]
    rows = [("accepted", f"{len(clicked.accepted)} of {len(objects)} objects")]
    if objects[0].steps[0].iou is not None:
        start, end = (np.mean([each.steps[at].iou for each in objects]) for at in (0, -1))
        rows.append(("mean IoU", f"{start:.2f} after the first click, {end:.2f} after the last"))
    latency = f"{1e3 * np.median(first):.0f} ms median for a first click"
    rows.append(("click to mask", latency + (f", {1e3 * np.median(later):.0f} ms for a later one" if later else "")))
    return rows


def _save_steps(path: Path, cloud: Cloud, clicked: ClickedTarget) -> None:
    clicks = [step.click for step in clicked.steps]
    steps = [
        ShownStep(click_caption(number, step.iou), step.mask, tuple(clicks[:number]))
        for number, step in enumerate(clicked.steps, 1)
    ]
    save_steps(path, cloud, clicked.target.name, clicked.target.mask, steps)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name)

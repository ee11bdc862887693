"""What the demo leaves behind: a table on the terminal, and a picture, a cloud and a recording in a folder."""

from __future__ import annotations

import numpy as np

from seg3d_core.config import RoomConfig
from seg3d_core.data.cloud_files import write_cloud
from seg3d_core.data.playback import room_seed
from seg3d_core.learning.metrics import SceneResult, average_precision, mask_iou
from seg3d_core.pictures import before_after, save_png
from seg3d_core.types import IGNORE, Instances
from seg3d_ros.demo.click_report import write_click_report
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.session import Outcome
from seg3d_ros.demo.table import Row, accuracy_rows, age_rows, format_table, graph_rows, id_rows, result_rows


def write_report(options: DemoOptions, outcome: Outcome) -> int:
    """Print the table and write the files; 0 if results came and nobody crashed, else 1."""
    for process in outcome.crashed:
        print(f"\n{process.name} ended with code {process.exit_code}; the end of {process.log}:")
        print(process.last_lines())
    if outcome.clicked is not None:
        write_click_report(options, outcome.clicked, [*frame_rows(outcome), *graph_rows(outcome.seen)])
        return 1 if outcome.crashed else 0
    results = outcome.seen.results
    if not results:
        print(f"no instances were published; the nodes' logs are in {options.out / 'logs'}")
        return 1
    rows = frame_rows(outcome) + graph_rows(outcome.seen) + result_rows(results) + id_rows(results)
    if not options.lossless:  # recorded stamps have no age
        rows += age_rows(results, outcome.seen.late_ns)
    instances = results[-1].instances(outcome.seen.latest_clouds)
    seed = None if options.bag else room_seed(options.sequence)
    if seed is not None:
        rows += _accuracy(instances, seed)
    rows.append(("crashes", str(len(outcome.crashed))))
    print(f"\n{format_table(rows)}\n")
    _write_files(options, instances)
    return 1 if outcome.crashed else 0


def frame_rows(outcome: Outcome) -> list[Row]:
    """What was played."""
    return [("frames sent", f"{outcome.seen.frames} in {outcome.seconds:.0f} s")]


def _accuracy(instances: Instances, seed: int) -> list[Row]:
    from seg3d_core.data.rooms import STRUCTURE_IDS, make_room
    from seg3d_core.evaluation.rooms import label_room

    labels = label_room(make_room(seed, RoomConfig()), instances.cloud).instance_id.copy()
    # As in ScanNet's evaluation: floor and walls are no objects, and finding them is no error.
    labels[np.isin(labels, list(STRUCTURE_IDS))] = IGNORE
    ap = average_precision([SceneResult(instances.masks, instances.scores, labels)])
    true_ids, counts = np.unique(labels[labels > 0], return_counts=True)
    true_masks = labels[None, :] == true_ids[counts >= 100, None]
    return accuracy_rows(ap, float(mask_iou(true_masks, instances.masks).max(axis=1, initial=0).mean()))


def _write_files(options: DemoOptions, instances: Instances) -> None:
    picture, cloud = options.out / "instances.png", options.out / "instances.ply"
    save_png(picture, before_after(instances.cloud, instances))
    write_cloud(cloud, instances.cloud, instances)
    print(f"picture    {picture}\ncloud      {cloud}\nrecording  {options.out / 'recording'} (rosbag2, MCAP)")
    print(f"logs       {options.out / 'logs'}")

"""The nearest points, the same on every device."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from seg3d_core.errors import InputError
from seg3d_core.point_ops.buckets import Buckets
from seg3d_core.point_ops.inputs import require_one_device, require_points
from seg3d_core.point_ops.neighbours_kernels import search_buckets

_PAIRS_AT_ONCE = 2**23
"""Pairs of a query and a point that are held at a time: about 130 MB where every pair is looked at."""

_QUERIES_PER_THREAD = 256
"""Fewer are answered before another thread has started."""

_Found = tuple[Int64[Tensor, "M k"], Float32[Tensor, "M k"]]


def nearest(
    points: Float32[Tensor, "*B N 3"], queries: Float32[Tensor, "*B M 3"], k: int
) -> tuple[Int64[Tensor, "*B M k"], Float32[Tensor, "*B M k"]]:
    """Rows of the ``k`` nearest of ``points`` for each query, and their distances in the unit of the points.

    Sorted by distance, equal ones by row; of more points than fit at the same k-th distance, those of the lowest rows.
    Every device gives the same rows: squared distances are (dx² + dy²) + dz² in float32, each operation rounded once.
    Memory is bounded whatever N and M are; on a CPU every query looks at N / 64 boxes, and into the nearest of them.
    Each cloud of a batch is searched by itself. No gradients.

    Raises:
        InputError: points or queries that are not float32 and finite, ``k`` outside 1..N, two devices, two batches.
    """
    require_points("points", points)
    require_points("queries", queries)
    require_one_device("points", points, "queries", queries)
    available = points.shape[-2]
    if not 1 <= k <= available:
        raise InputError(f"{k} nearest neighbours were asked of {available} points, from 1 to {available} are possible")
    if points.shape[:-2] != queries.shape[:-2]:
        raise InputError(f"points are a batch {tuple(points.shape[:-2])}, queries {tuple(queries.shape[:-2])}")
    search = _search_buckets if points.device.type == "cpu" else search_all_pairs
    return _of_each_cloud(search, points.detach().contiguous(), queries.detach().contiguous(), k)


def _of_each_cloud(
    search: Callable[[Tensor, Tensor, int], _Found], points: Tensor, queries: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    shape = (*queries.shape[:-1], k)
    clouds = zip(points.reshape(-1, *points.shape[-2:]), queries.reshape(-1, *queries.shape[-2:]), strict=True)
    found = [search(cloud, asked, k) for cloud, asked in clouds]
    indices = torch.stack([rows for rows, _ in found]).reshape(shape)
    return indices, _root(torch.stack([squared for _, squared in found])).reshape(shape)


def _root(squared: Tensor) -> Tensor:
    """Correctly rounded, as on CUDA; what PyTorch calls on some CPUs is not."""
    return torch.from_numpy(np.sqrt(squared.numpy())) if squared.device.type == "cpu" else squared.sqrt()


def search_all_pairs(points: Float32[Tensor, "N 3"], queries: Float32[Tensor, "M 3"], k: int) -> _Found:
    """Nearest rows and their squared distances, by looking at every pair, on any device.

    Pairs are compared as integers: the bits of the squared distance (which sort like the number, as it is not negative)
    above those of the row. So the order is total, and whatever ``topk`` does with equals does not matter.
    """
    columns = points.T.contiguous()
    row = torch.arange(len(points), device=points.device)
    found = []
    for asked in torch.split(queries, max(1, _PAIRS_AT_ONCE // len(points))):
        squared = (columns[0] - asked[:, 0, None]).square_()
        squared += (columns[1] - asked[:, 1, None]).square_()
        squared += (columns[2] - asked[:, 2, None]).square_()
        keys = squared.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(row)
        found.append(keys.topk(k, dim=1, largest=False, sorted=True).values)
    keys = torch.cat(found)
    return keys & 0xFFFFFFFF, (keys >> 32).to(torch.int32).view(torch.float32)


def _search_buckets(points: Float32[Tensor, "N 3"], queries: Float32[Tensor, "M 3"], k: int) -> _Found:
    """What ``search_all_pairs`` finds, by looking into few buckets; queries are shared out among threads."""
    buckets = Buckets.of(points.numpy(), np.arange(len(points)))
    rows = np.empty((len(queries), k), np.int64)
    squared_bits = np.empty((len(queries), k), np.int32)
    search = partial(search_buckets, buckets.points, buckets.ranks.ravel(), len(points), (buckets.low, buckets.high))
    parts = max(1, min(torch.get_num_threads(), len(queries) // _QUERIES_PER_THREAD))
    split = [np.array_split(values, parts) for values in (queries.numpy(), rows, squared_bits)]
    if parts == 1:
        search(queries.numpy(), rows, squared_bits)
    else:
        with ThreadPoolExecutor(parts) as threads:
            list(threads.map(search, *split))
    return torch.from_numpy(rows), torch.from_numpy(squared_bits.view(np.float32))

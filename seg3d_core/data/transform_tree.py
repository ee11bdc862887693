"""Coordinate frames that move against each other: a recording's transforms, looked up across several of them."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import from_quaternion, interpolate, invert


@dataclass
class _Edge:
    """Poses of a child frame in its parent frame, in the order they came."""

    is_static: bool
    stamps_ns: list[int] = field(default_factory=list)
    poses: list[tuple[float, ...]] = field(default_factory=list)
    is_sorted: bool = True

    def add(self, stamp_ns: int, pose: tuple[float, ...]) -> None:
        self.is_sorted = self.is_sorted and (not self.stamps_ns or stamp_ns > self.stamps_ns[-1])
        self.stamps_ns.append(stamp_ns)
        self.poses.append(pose)

    def sort(self) -> None:
        """By stamp; of several poses at one stamp the last one stays."""
        if not self.is_sorted:
            latest = dict(zip(self.stamps_ns, self.poses, strict=True))
            self.stamps_ns = sorted(latest)
            self.poses = [latest[stamp] for stamp in self.stamps_ns]
            self.is_sorted = True


class TransformTree:
    """Frames joined by transforms, each over its own span of time. A leading slash of a frame name means nothing.

    Unlike tf2 a frame may have several parents (recordings of two robots' drivers do): the shortest chain is used.
    """

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], _Edge] = {}
        self._neighbours: dict[str, list[str]] = {}

    @property
    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        return sorted(self._neighbours)

    def insert(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: tuple[float, float, float],
        xyzw: tuple[float, float, float, float],
        is_static: bool = False,
    ) -> None:
        """Add the pose of ``child`` in ``parent``: translation in m, quaternion (x, y, z, w).

        A static one holds for all times.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        edge = self._edges.get((parent, child))
        if edge is None:
            edge = self._edges[parent, child] = _Edge(is_static)
            self._neighbours.setdefault(parent, []).append(child)
            self._neighbours.setdefault(child, []).append(parent)
        edge.add(stamp_ns, (*translation, *xyzw))

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64[np.ndarray, "4 4"]:
        """``T_target_source`` at a time, interpolated between the neighbours in each transform of the chain.

        As in tf2 the neighbours may be any time apart: a transform that rarely changes is rarely sent.

        Raises:
            InputError: a frame is unknown (with the nearest known name), the frames are not connected, or a transform
                of the chain is not known at that time (with the distance in s). Nothing is extrapolated.
        """
        T = np.eye(4)
        chain = self.chain(target, source)
        for outer, inner in pairwise(chain):
            try:
                T = T @ self._step(outer, inner, stamp_ns)
            except InputError as error:
                raise InputError(f"no transform from {source} to {target}: {error}") from error
        return T

    def stamps_ns(self, target: str, source: str) -> Int64[np.ndarray, " F"]:
        """All stamps of the transforms between two frames at which the whole chain is known; empty if it is static.

        Raises:
            InputError: as ``lookup`` for frames that are unknown or not connected.
        """
        moving = [np.array(edge.stamps_ns, np.int64) for edge in self._along(target, source) if not edge.is_static]
        if not moving:
            return np.zeros(0, np.int64)
        stamps: Int64[np.ndarray, " F"] = np.unique(np.concatenate(moving))
        first, last = max(s[0] for s in moving), min(s[-1] for s in moving)
        return np.extract((stamps >= first) & (stamps <= last), stamps)

    def is_static(self, target: str, source: str) -> bool:
        """Whether two frames never move against each other.

        Raises:
            InputError: as ``lookup`` for frames that are unknown or not connected.
        """
        return all(edge.is_static for edge in self._along(target, source))

    def chain(self, target: str, source: str) -> list[str]:
        """The frames from ``target`` to ``source``, both included.

        Raises:
            InputError: a frame is unknown or they are not connected.
        """
        target, source = self._known(target, source), self._known(source, target)
        before = {target: target}
        queue = deque([target])
        while queue and source not in before:
            frame = queue.popleft()
            for neighbour in self._neighbours[frame]:
                if neighbour not in before:
                    before[neighbour] = frame
                    queue.append(neighbour)
        if source not in before:
            raise InputError(
                f"no transform from {source} to {target}: {target} is connected only to "
                f"{', '.join(sorted(before)[:8])}{' ...' if len(before) > 8 else ''}"
            )
        path = [source]
        while path[-1] != target:
            path.append(before[path[-1]])
        return path[::-1]

    def _along(self, target: str, source: str) -> list[_Edge]:
        chain = self.chain(target, source)
        return [self._edge(outer, inner) for outer, inner in pairwise(chain)]

    def _known(self, name: str, other: str) -> str:
        frame = name.lstrip("/")
        if frame in self._neighbours:
            return frame
        near = difflib.get_close_matches(frame, self.frames, n=1, cutoff=0.3) or self.frames[:1]
        hint = f"the nearest name is {near[0]}" if near else "there are no transforms at all"
        raise InputError(f"no transform between {name} and {other}: there is no frame {name}, {hint}")

    def _edge(self, outer: str, inner: str) -> _Edge:
        edge = self._edges.get((outer, inner)) or self._edges[inner, outer]
        edge.sort()
        return edge

    def _step(self, outer: str, inner: str, stamp_ns: int) -> Float64[np.ndarray, "4 4"]:
        edge = self._edge(outer, inner)
        T = _pose_at(edge, stamp_ns, f"{outer} - {inner}")
        return T if (outer, inner) in self._edges else invert(T)


def _pose_at(edge: _Edge, stamp_ns: int, name: str) -> Float64[np.ndarray, "4 4"]:
    if edge.is_static:
        return _matrix(edge.poses[-1])
    # Not np.searchsorted: making an array of the list for every question takes minutes in a long recording.
    stamps = edge.stamps_ns
    after = bisect_left(stamps, stamp_ns)
    if after < len(stamps) and stamps[after] == stamp_ns:
        return _matrix(edge.poses[after])
    if after in (0, len(stamps)):
        end = stamps[min(after, len(stamps) - 1)]
        side = "before the first" if after == 0 else "after the last"
        raise InputError(f"{stamp_ns * 1e-9:.3f} s is {abs(stamp_ns - end) * 1e-9:.3f} s {side} pose of {name}")
    before_ns, after_ns = stamps[after - 1], stamps[after]
    fraction = (stamp_ns - before_ns) / (after_ns - before_ns)
    return interpolate(_matrix(edge.poses[after - 1]), _matrix(edge.poses[after]), fraction)


def _matrix(pose: tuple[float, ...]) -> Float64[np.ndarray, "4 4"]:
    return from_quaternion(np.array(pose[:3], np.float64), np.array(pose[3:], np.float64))

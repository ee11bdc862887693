"""The scene that is worked on, and what browsers see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from seg3d_core.browser.detail import Overview, overview
from seg3d_core.browser.point_cells import PointCells
from seg3d_core.browser.pointing import SLOPE, point_under
from seg3d_core.relabel.actions import Place
from seg3d_core.relabel.session import RelabelSession
from seg3d_core.relabel.web.frame_view import FrameViews
from seg3d_core.types import Cloud


@dataclass(frozen=True, eq=False)
class OpenScene:
    """The scene that is worked on, with what it is shown by.

    Attributes:
        session: of the scene.
        overview: which points of the cloud are shown.
        shown: these points.
        cells: of all points of the cloud.
        frames: with the points that are shown.
    """

    session: RelabelSession
    overview: Overview
    shown: Cloud
    cells: PointCells
    frames: FrameViews

    @classmethod
    def of(cls, session: RelabelSession) -> OpenScene:
        """What is made once of a scene.

        Raises:
            InputError: the cloud cannot be shown, or the frames cannot be read.
        """
        whole = overview(session.cloud.points)
        shown = session.cloud.select(whole.rows)
        frames = FrameViews(session.scene, shown, whole.spacing_m)
        return cls(session, whole, shown, PointCells(session.cloud.points), frames)

    def point_under(self, origin: Float64[np.ndarray, "3"], direction: Float64[np.ndarray, "3"]) -> Place:
        """See ``pointing.point_under``; of all points.

        Raises:
            PromptError: there is none.
        """
        near = self.cells.near_ray(origin, direction, self.overview.spacing_m, SLOPE)
        return point_under(self.session.cloud.points[near], origin, direction, self.overview.spacing_m)

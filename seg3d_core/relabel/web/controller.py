"""What browsers can do and see, apart from how a browser is talked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from seg3d_core.browser.colouring import Colours
from seg3d_core.browser.pointing import ScreenView
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import InputError, PromptError, Seg3dError
from seg3d_core.relabel.actions import (
    Accept,
    Action,
    Choose,
    Click,
    Confirm,
    Delete,
    Edit,
    Label,
    Lasso,
    Merge,
    New,
    Place,
    Propose,
    Split,
    Undo,
)
from seg3d_core.relabel.models import Models
from seg3d_core.relabel.session import RelabelSession
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.web.open_scene import OpenScene
from seg3d_core.relabel.web.seen import Seen

Meaning = Literal["on", "beside", "pick"]
"""What a click in the scene says: on the object, beside it, or which instance the next action is about."""

Key = Literal["1", "2", "3", "enter", "escape", "Z", "N", "M", "D", "S", "E", "L", "C", "P", "F"]


class RelabelController:
    """The state that all browsers of a server share: which scene is open, what is picked, how it is coloured.

    Events may come from any thread; they are done one after another. What is refused becomes the ``message``, for
    people.

    Args:
        scenes: to work on; the first is opened.
        models: that answer.
        config: see ``RelabelConfig``.

    Raises:
        InputError: the first scene cannot be opened.
    """

    def __init__(self, scenes: Sequence[SceneFolder], models: Models, config: RelabelConfig) -> None:
        self.scenes = list(scenes)
        self._models, self._config = models, config
        self._lock = threading.RLock()
        self.picked: tuple[int, ...] = ()
        self.places: tuple[Place, ...] = ()
        self.outline: tuple[tuple[float, float], ...] | None = None
        self._outline_view: ScreenView | None = None
        self.colours: Colours = "instances"
        self.keep_accepted = False
        self.frame = 0
        self.focus: Place | None = None
        self.message = ""
        self.index = 0
        self.now = self._open(0)

    @property
    def session(self) -> RelabelSession:
        """Of the open scene."""
        return self.now.session

    @property
    def selected(self) -> Bool[np.ndarray, " N"] | None:
        """Points of the object in progress; None where there is none, or its model cannot be asked any more."""
        try:
            selection = self.session.selection
        except Seg3dError as error:
            self.message = str(error)
            return None
        return None if selection is None else selection.mask

    def seen(self, rows: Int64[np.ndarray, " P"], selected: Bool[np.ndarray, " N"] | None) -> Seen:
        """How some points of the cloud look; ``selected`` are those of the object in progress."""
        chosen = np.zeros(len(rows), np.bool_) if selected is None else selected[rows]
        return Seen(self.session.instance_ids[rows], chosen, self.picked, self.colours)

    def warm_up(self) -> None:
        """Make the model ready for the first click."""
        with self._event():
            self.session.warm_up()

    def click(self, origin: Float64[np.ndarray, "3"], direction: Float64[np.ndarray, "3"], meaning: Meaning) -> None:
        """A click in the scene, as a ray (m, world)."""
        with self._event():
            place = self.now.point_under(origin, direction)
            self.focus = place
            self._show_frame_of(place)
            if meaning == "pick":
                self._pick(place)
            else:
                self._do(Click(place, meaning == "on"))

    def corner(self, view: ScreenView, across: float, down: float) -> None:
        """One more corner of the lasso, 0..1 from the left and upper border of a browser's window."""
        with self._event():
            if self._outline_view is None or not np.allclose(self._outline_view.T_world_camera, view.T_world_camera):
                self._outline_view, self.outline = view, ()
            self.outline = (*(self.outline or ()), view.direction(across, down))
            self.message = f"lasso: {len(self.outline)} corners; Enter closes it, Esc drops it"

    def rectangle(self, view: ScreenView, low: tuple[float, float], high: tuple[float, float]) -> None:
        """A rectangle that was drawn over the view, between two places, 0..1."""
        with self._event():
            corners = ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
            self._do(Lasso(tuple(view.direction(*corner) for corner in corners), view.matrix))

    def key(self, key: Key) -> None:
        """A key, or the button that stands for it."""
        with self._event():
            if key in ("1", "2", "3"):
                self._do(Choose(int(key)))
            else:
                getattr(self, f"_key_{key.lower()}")()

    def accept(self, name: str) -> None:
        """Keep the object in progress."""
        with self._event():
            self._do(Accept(name.strip(), "unaccepted" if self.keep_accepted else "everything"))

    def label(self, name: str) -> None:
        """Call the picked instance something."""
        with self._event():
            self._do(Label(self._one("name"), name.strip()))

    def confirm(self) -> None:
        """The picked proposals are right, or all where none is picked."""
        with self._event():
            self._do(Confirm(self.picked))

    def show_frame(self, index: int) -> None:
        """Which frame is beside the scene."""
        with self._event():
            self.frame = min(max(index, 0), max(len(self.now.frames) - 1, 0))

    def open_scene(self, index: int) -> None:
        """Write the results of the open scene, and open another one."""
        with self._event():
            if index == self.index:
                return
            self.session.save()
            before, self.message = self.now, ""
            self.now = self._open(index)
            before.session.close()
            self.index, self.picked, self.places, self.focus, self.frame = index, (), (), None, 0
            self._drop_lasso()

    def save(self) -> None:
        """Write the results of the open scene."""
        with self._event():
            results = self.session.save()
            left_out = f", {results.left_out} proposals left out" if results.left_out else ""
            self.message = f"written: {sum(results.instances.values())} instances{left_out}"

    def close(self) -> None:
        """Write the results, and let other processes have the scene; an error says what could not be written.

        Raises:
            InputError: the disk is full.
        """
        with self._lock:
            try:
                self.session.save()
            finally:
                self.session.close()

    @contextmanager
    def _event(self) -> Iterator[None]:
        """One event at a time; what is refused is told."""
        with self._lock:
            self.message = ""
            try:
                yield
            except Seg3dError as error:
                self.message = str(error)

    def _open(self, index: int) -> OpenScene:
        session = RelabelSession(self.scenes[index], self._models, self._config)
        try:
            return OpenScene.of(session)
        except InputError:
            session.close()
            raise

    def _do(self, action: Action) -> None:
        self.session.apply(action)
        self.picked = tuple(number for number in self.picked if number in self.session.records)
        if not self.picked:
            self.places = ()

    def _pick(self, place: Place) -> None:
        """The instance there joins the picked ones or, picked already, gets a place to split it at."""
        number = self.session.instance_at(np.array(place))
        if number in self.picked:
            self.places = (*self.places, place)
        else:
            self.picked, self.places = (*self.picked, number), (place,) if not self.picked else ()

    def _show_frame_of(self, place: Place) -> None:
        best = self.now.frames.best_for(np.array(place))
        self.frame = self.frame if best is None else best

    def _one(self, what: str) -> int:
        if len(self.picked) != 1:
            raise PromptError(f"shift-click one instance to {what}; {len(self.picked)} are picked")
        return self.picked[0]

    def _drop_lasso(self) -> None:
        self.outline = self._outline_view = None

    def _key_enter(self) -> None:
        if self.outline is not None and self._outline_view is not None:
            lasso = Lasso(self.outline, self._outline_view.matrix)
            self._drop_lasso()
            self._do(lasso)
        else:
            self._do(Accept("", "unaccepted" if self.keep_accepted else "everything"))

    def _key_escape(self) -> None:
        self.picked, self.places = (), ()
        self._drop_lasso()

    def _key_z(self) -> None:
        self._do(Undo())

    def _key_n(self) -> None:
        self._do(New())

    def _key_m(self) -> None:
        self._do(Merge(self.picked))

    def _key_d(self) -> None:
        if not self.picked:
            raise PromptError("shift-click the instances to delete; none is picked")
        for number in self.picked:
            self._do(Delete(number))

    def _key_s(self) -> None:
        number = self._one("split")
        self._do(Split(number, self.places if len(self.places) > 1 else ()))
        self.places = ()

    def _key_e(self) -> None:
        self._do(Edit(self._one("correct")))
        self.picked, self.places = (), ()

    def _key_l(self) -> None:
        if self.outline is None:
            self.outline, self._outline_view = (), None
            self.message = "lasso: click its corners, Enter closes it, Esc drops it"
        else:
            self._drop_lasso()

    def _key_c(self) -> None:
        self.colours = "true" if self.colours == "instances" else "instances"

    def _key_p(self) -> None:
        self._do(Propose(self._config.segment.model))

    def _key_f(self) -> None:
        self.frame = (self.frame + 1) % max(len(self.now.frames), 1)

"""The panel beside the scene: buttons with their keys, the list of instances, and the camera's frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
from jaxtyping import Bool

from seg3d_core.errors import Seg3dError
from seg3d_core.relabel.web.controller import Key, RelabelController
from seg3d_core.relabel.web.seen import Seen

Do = Callable[[Callable[[], object]], None]
"""Takes an event, to be done behind those that wait."""

ROWS: tuple[tuple[str, tuple[tuple[str, Key], ...]], ...] = (
    ("Object", (("Accept ⏎", "enter"), ("New N", "N"), ("Undo Z", "Z"))),
    ("Picked", (("Correct E", "E"), ("Merge M", "M"), ("Split S", "S"), ("Delete D", "D"))),
    ("Tools", (("Lasso L", "L"), ("Propose P", "P"), ("Drop Esc", "escape"))),
    ("View", (("Colours C", "C"), ("Next frame F", "F"))),
)
"""Buttons and the keys that they stand for."""

_LISTED = 40
_NO_FRAME = np.full((90, 120, 3), 200, np.uint8)

_HELP = """\
**click** on the object · **right click** or **ctrl-click** beside it · \
**shift-click** pick an instance · **ctrl-shift-drag** a rectangle
"""


class Panel:
    """Elements of viser's panel; keys do what buttons do.

    Args:
        gui: viser's ``GuiApi``.
        controller: what is shown and done.
        do: see ``Do``.
    """

    def __init__(self, gui: Any, controller: RelabelController, do: Do) -> None:
        self._gui, self._controller, self._do = gui, controller, do
        self._scenes = gui.add_dropdown("Scene", [scene.name for scene in controller.scenes])
        self._scenes.on_update(self._choose_scene)
        gui.add_markdown(_HELP)
        self._message = gui.add_markdown("")
        self._add_row("Candidate", {"1": partial(controller.key, "1"), "2": partial(controller.key, "2"),
                                    "3": partial(controller.key, "3")})  # fmt: skip
        for label, buttons in ROWS:
            self._add_row(label, {words: self._event_of(key) for words, key in buttons})
        self._name = gui.add_text("Name", "")
        self._add_row(
            "", {"Name picked": self._label, "Confirm proposals": controller.confirm, "Write": controller.save}
        )
        self._keep = gui.add_checkbox(
            "Keep what is accepted", False, hint="An accepted object takes no points of others."
        )
        self._keep.on_update(self._press(self._set_keep))
        self._frame = gui.add_image(_NO_FRAME)
        self._index = gui.add_slider("Frame", 0, max(len(controller.now.frames) - 1, 1), 1, 0)
        self._index.on_update(self._press(self._choose_frame))
        self._look = gui.add_button("Look from the frame's camera")
        self._list = gui.add_markdown("")
        self._add_keys()
        self._shown: tuple[Any, ...] = ()

    def on_look_through(self, look: Callable[[Any], None]) -> None:
        """What is called with the browser (viser's client) that wants to look from where the frame was taken."""

        @self._look.on_click
        async def _(event: Any) -> None:
            self._do(lambda: look(event.client))

    def accept(self) -> None:
        """Close a lasso, or keep the object in progress under the name in the panel, which is empty then."""
        if self._controller.outline is not None:
            self._controller.key("enter")
            return
        steps = self._controller.session.undo_steps
        self._controller.accept(self._name.value)
        if self._controller.session.undo_steps > steps:
            self._name.value = ""

    def show(self, selected: Bool[np.ndarray, " N"] | None, seen: Seen) -> None:
        """Send what has changed.

        Args:
            selected: points of the object in progress; None where there is none.
            seen: of the points of the overview.
        """
        controller = self._controller
        self._message.content = self._status(selected)
        self._list.content = instance_table(controller)
        if self._scenes.value != controller.scenes[controller.index].name:
            self._scenes.value = controller.scenes[controller.index].name
        state = (controller.index, controller.frame, controller.session.revision, controller.colours, selected is None)
        if state != self._shown:
            self._show_frame(seen)
            self._shown = state

    def _show_frame(self, seen: Seen) -> None:
        controller, now = self._controller, self._controller.now
        self._index.max = max(len(now.frames) - 1, 1)
        if self._index.value != controller.frame:
            self._index.value = controller.frame
        if not len(now.frames):
            self._frame.image = _NO_FRAME
            return
        try:
            self._frame.image = now.frames.picture(controller.frame, seen)
        except Seg3dError as error:
            self._frame.image = _NO_FRAME
            self._message.content = f"**{error}**"

    def _status(self, selected: Bool[np.ndarray, " N"] | None) -> str:
        controller = self._controller
        number = f"scene {controller.index + 1} of {len(controller.scenes)}"
        lines = [f"{number} · {len(controller.session.records)} instances · {controller.session.undo_steps} actions"]
        if selected is not None:
            selection = controller.session.selection
            assert selection is not None, "something is selected"
            what = f"instance {controller.session.editing}" if controller.session.editing else "new object"
            lines.append(
                f"{what}: {int(selected.sum())} points, candidate {selection.chosen + 1} of "
                f"{len(selection.candidates.mask_logits)}, predicted IoU {selection.iou_prediction:.2f}"
            )
        if controller.picked:
            lines.append(f"picked: {', '.join(map(str, controller.picked))}")
        if controller.message:
            lines.append(f"**{controller.message}**")
        return "\n\n".join(lines)

    def _add_row(self, label: str, events: dict[str, Callable[[], object]]) -> None:
        """Buttons side by side."""
        row = self._gui.add_button_group(label, tuple(events))

        @row.on_click
        async def _(event: Any) -> None:
            self._do(events[event.target.value])

    def _add_keys(self) -> None:
        for key in get_args(Key):
            words = next((words for _, buttons in ROWS for words, own in buttons if own == key), f"Candidate {key}")
            self._gui.add_command(words, hotkey=key).on_trigger(self._press(self._event_of(key)))

    def _event_of(self, key: Key) -> Callable[[], object]:
        return self.accept if key == "enter" else partial(self._controller.key, key)

    def _label(self) -> None:
        self._controller.label(self._name.value)

    def _press(self, event: Callable[[], object]) -> Callable[[Any], Any]:
        async def handle(_: Any) -> None:
            self._do(event)

        return handle

    async def _choose_scene(self, _: Any) -> None:
        names = [scene.name for scene in self._controller.scenes]
        index = names.index(self._scenes.value)
        self._do(lambda: self._controller.open_scene(index))

    def _choose_frame(self) -> None:
        if self._index.value != self._controller.frame:
            self._controller.show_frame(int(self._index.value))

    def _set_keep(self) -> None:
        self._controller.keep_accepted = bool(self._keep.value)


def instance_table(controller: RelabelController) -> str:
    """The instances of the open scene, the newest first."""
    sizes, records = controller.session.sizes, controller.session.records
    rows = ["| id | name | points | by |", "|---|---|---|---|"]
    for number in sorted(records, reverse=True)[:_LISTED]:
        record = records[number]
        # A bar in a name would end its cell.
        name = record.name.replace("|", "/")
        rows.append(f"| {number} | {name} | {sizes[number]} | {record.decision} |")
    if len(records) > _LISTED:
        rows.append(f"| | and {len(records) - _LISTED} more | | |")
    return "\n".join(rows)

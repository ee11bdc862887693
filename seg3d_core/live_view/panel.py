"""The panel beside the live scene: buttons with their keys, what is seen, and how the nodes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from seg3d_core.live_view.health import NodeHealth, health_text, plain
from seg3d_core.live_view.view import LiveView

ACTIONS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("Object", (("Accept ⏎", "enter", "accept"), ("Reject D", "D", "reject"), ("New N", "N", "new_object"))),
    (
        "Clicks",
        (("Undo Z", "Z", "undo"), ("Clear Esc", "escape", "clear"), ("Next candidate A", "A", "next_candidate")),
    ),
)
"""Rows of buttons: their words, their keys, and the services that they call."""

_MEANINGS = ("on the object", "beside it")
_COLOURS = ("instances", "true")
_HELP = "**click** on the object · **right click** or **ctrl-click** beside it\n"


class LivePanel:
    """Elements of viser's panel; keys do what buttons do.

    Args:
        gui: viser's ``GuiApi``.
        view: what is shown and changed.
        do: puts an event behind those that wait.
        press: calls a service.
    """

    def __init__(
        self, gui: Any, view: LiveView, do: Callable[[Callable[[], object]], None], press: Callable[[str], object]
    ) -> None:
        self._gui, self._view, self._do = gui, view, do
        gui.add_markdown(_HELP)
        self._state = gui.add_markdown("")
        for label, buttons in ACTIONS:
            self._add_row(label, {words: partial(press, service) for words, _, service in buttons})
            for words, key, service in buttons:
                gui.add_command(words, hotkey=key).on_trigger(self._handler(partial(press, service)))
        self._meaning = gui.add_dropdown("Click means", _MEANINGS)
        self._meaning.on_update(self._handler(self._set_meaning))
        self._colours = gui.add_dropdown("Colours", _COLOURS)
        self._colours.on_update(self._handler(self._set_colours))
        gui.add_command("Colours C", hotkey="C").on_trigger(self._handler(self._other_colours))
        self._health = gui.add_markdown("")
        self.nodes: Sequence[NodeHealth] = ()

    def show(self) -> None:
        """Send what has changed."""
        for element, words in ((self._state, _state_text(self._view)), (self._health, health_text(self.nodes))):
            if element.content != words:
                element.content = words

    def _add_row(self, label: str, events: dict[str, Callable[[], object]]) -> None:
        row = self._gui.add_button_group(label, tuple(events))

        @row.on_click
        async def _(event: Any) -> None:
            self._do(events[event.target.value])

    def _handler(self, event: Callable[[], object]) -> Callable[[Any], Any]:
        async def handle(_: Any) -> None:
            self._do(event)

        return handle

    def _set_meaning(self) -> None:
        self._view.excludes = self._meaning.value == _MEANINGS[1]

    def _set_colours(self) -> None:
        self._view.set_colours("true" if self._colours.value == "true" else "instances")

    def _other_colours(self) -> None:
        self._colours.value = _COLOURS[self._colours.value == _COLOURS[0]]
        self._set_colours()


def _state_text(view: LiveView) -> str:
    lines = []
    base = view.base
    if base is None:
        lines.append("no cloud has come yet")
    else:
        shown = "" if base.is_whole else f", {len(base.rows):,} shown"
        lines.append(f"{len(base.cloud):,} points{shown}, frame {plain(base.cloud.frame_id)}")
    for name, words in (("found", "found"), ("accepted", "accepted")):
        layer = view.layers.get(name)  # type: ignore[call-overload]
        if layer is not None:
            lines.append(f"{len(np.unique(layer.instance_ids[layer.instance_ids > 0]))} instances {words}")
    mask = view.layers.get("mask")
    if mask is not None:
        count = len(mask.cloud)
        lines.append(f"object in progress: {count:,} points" if count else "nothing is selected")
    lines += [f"**{plain(words)}**" for words in [*view.misfits(), view.message] if words]
    return "\n\n".join(lines)

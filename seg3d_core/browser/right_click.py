"""A click with the right button, of which viser does not tell: it becomes a ctrl-click, dragging stays as it is."""

from __future__ import annotations

import html
from typing import Any

_SCRIPT = """\
if (!window.seg3dRightClick) {
  window.seg3dRightClick = true;
  let begun = null;
  const isScene = (event) => event.target instanceof HTMLCanvasElement;
  window.addEventListener("pointerdown", (event) => {
    begun = event.button === 2 && isScene(event) ? event : null;
  }, true);
  window.addEventListener("pointerup", (event) => {
    if (event.button !== 2 || begun === null) return;
    const moved = Math.hypot(event.clientX - begun.clientX, event.clientY - begun.clientY);
    const canvas = begun.target;
    begun = null;
    if (moved > 4) return;
    const click = {bubbles: true, button: 0, ctrlKey: true, clientX: event.clientX, clientY: event.clientY,
                   pointerId: event.pointerId, pointerType: event.pointerType, isPrimary: true};
    setTimeout(() => {
      canvas.dispatchEvent(new PointerEvent("pointerdown", {...click, buttons: 1}));
      canvas.dispatchEvent(new PointerEvent("pointerup", {...click, buttons: 0}));
    });
  }, true);
  window.addEventListener("contextmenu", (event) => { if (isScene(event)) event.preventDefault(); }, true);
}
"""


def make_right_click_exclude(gui: Any) -> None:
    """Let browsers take right clicks in the scene for ctrl-clicks.

    Args:
        gui: viser's ``GuiApi``; it has no scripts, but HTML, and there an image that does not load may have one.
    """
    gui.add_html(f'<img hidden src="data:," onerror="{html.escape(_SCRIPT)}">')

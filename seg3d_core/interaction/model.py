"""What clicks are asked of: anything that answers a prompt on a cloud with masks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.types import Cloud, Prompt


@runtime_checkable
class PromptModel(Protocol):
    """A model that is shown a cloud once and then asked about it any number of times; one thread at a time."""

    @property
    def description(self) -> str:
        """What it is and where it runs, for people."""

    def set_cloud(self, cloud: Cloud) -> None:
        """From now on prompts mean this cloud.

        Raises:
            InputError: the cloud is refused; the one before stays.
        """

    def predict(
        self, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None = None, multimask: bool | None = None
    ) -> MaskCandidates:
        """The object that all of ``prompt`` means, best candidate first; nothing is remembered but the cloud.

        Args:
            prompt: every click so far, m in the frame of the cloud; may be empty where there is a mask.
            mask_input: logits of the candidate to refine, or None.
            multimask: three candidates instead of one; by default for a single click without ``mask_input``.

        Raises:
            InputError: there is no cloud, neither click nor mask, or the mask has another length or NaN.
            PromptError: a click lies outside of the cloud.
        """

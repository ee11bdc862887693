"""Parameters of viewer_node."""

from __future__ import annotations

from pydantic import Field

from seg3d_ros.settings import DYNAMIC, ManagedConfig


class ViewerNodeConfig(ManagedConfig):
    """viewer_node: what the others see and find, live in a browser, and clicks and buttons for prompt_node."""

    host: str = Field(
        "127.0.0.1",
        description="Address that browsers are served at; at any other than this machine's own they need the token.",
    )
    port: int = Field(8091, ge=0, le=65535, description="Port there; 0: any that is free, the log says which.")
    token: str = Field(
        "",
        description="For browsers of other machines: at least 16 letters and digits; empty: made up, the log has it.",
    )
    max_points: int = Field(
        150_000,
        ge=1000,
        le=10_000_000,
        description="Browsers get an even subset of so many points, and all within 1 m around the last click; clicks "
        "mean all points.",
    )
    cloud_period_s: float = Field(
        1.0,
        ge=0.05,
        le=3600,
        description="Browsers get at most one cloud and one result in this, s, and fewer where that takes long.",
        json_schema_extra=DYNAMIC,
    )

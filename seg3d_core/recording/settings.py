"""Settings of recordings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seg3d_core.config_base import Config


class FileConfig(Config):
    """How a recording lies on the disk."""

    compression: Literal["none", "lz4", "zstd"] = Field("lz4", description="Of what is recorded; lz4 is fast.")
    chunk_kib: int = Field(
        1024, ge=16, le=65536, description="What is recorded is handed to the operating system in pieces of this, KiB."
    )
    chunk_period_s: float = Field(
        1.0, ge=0.05, le=3600, description="And at least this often, s: so much is lost when the recorder is killed."
    )
    max_file_mb: int = Field(
        2000, ge=1, le=1_000_000, description="A file that is larger (MB) is followed by another one."
    )
    max_file_s: float = Field(
        600.0, ge=1, le=86_400, description="So is one that spans more time than this, s. What is latched is in each."
    )
    min_free_mb: int = Field(
        200, ge=0, le=1_000_000, description="Recording stops while this much of the disk is free, MB."
    )


class RingConfig(Config):
    """What is kept in memory for snapshots."""

    seconds: float = Field(20.0, ge=0.1, le=3600, description="A snapshot reaches back this far, s.")
    max_mb: int = Field(
        1000, ge=1, le=1_000_000, description="And holds at most this much, MB: then it reaches back less far."
    )


class RecordingConfig(Config):
    """How messages are recorded."""

    queue_mb: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Messages wait for a slow disk in at most this much memory, MB; others are dropped and counted.",
    )
    files: FileConfig = FileConfig.build({})
    ring: RingConfig = RingConfig.build({})

"""Another model while a node runs: loaded and warmed up beside the one in use, and switched in between two inputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from seg3d_core.errors import ConfigError, Seg3dError
from seg3d_core.segmenter import free_unused_memory
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.prompt_services import WorkerServices
from seg3d_ros.settings import ModelNodeConfig
from seg3d_ros.worker import LatestSlot, Worker

ConfigT = TypeVar("ConfigT", bound=ModelNodeConfig)
ModelT = TypeVar("ModelT")

ANSWER_LIMIT_S = 120.0
"""Loading takes longer than what other services do; whoever asked gets an answer after this at the latest."""

_END_LIMIT_S = 5.0

Look = tuple[str, int, int]
"""What the parameter names, and time (ns) and size (B) of that file; zeros where it is none."""


class ModelReloads(Generic[ConfigT, ModelT]):
    """``~/reload_model`` of a node, and the watch on the file of its model.

    The parameter ``model`` may be set at any time; what it names is loaded when that is asked for, or when the file has
    changed. A thread of its own does that. Whatever goes wrong leaves the model before in use, and is a warning in the
    diagnostics until a model was loaded.

    Args:
        node: serves, and has the worker that uses the model.
        prepare: makes the model that a config names and runs everything once. Raises ``Seg3dError``.
        switch: puts it in the place of the one in use; on the worker thread, or that of loading while there is no
            worker. Raises ``Seg3dError`` and then has changed nothing.
    """

    def __init__(
        self,
        node: PerceptionNode[ConfigT],
        prepare: Callable[[ConfigT], ModelT],
        switch: Callable[[ModelT], None],
    ) -> None:
        self._node, self._prepare, self._switch = node, prepare, switch
        self._lock = threading.Lock()
        self._loader: Worker[None] | None = None
        self._loaded = ""
        self._tried: Look = ("", 0, 0)
        self._seen: Look = ("", 0, 0)
        self._due_s = 0.0
        services = {"reload_model": self._reload}
        waits_for = "the model being loaded, see the diagnostics"
        WorkerServices(node, self._run_soon, self._refused, services, waits_for, ANSWER_LIMIT_S)
        node.health.gauge("model", lambda: self._loaded)

    @property
    def loaded(self) -> str:
        """What ``model`` was when the model in use was loaded; empty before ``begin``."""
        return self._loaded

    def begin(self, config: ConfigT) -> None:
        """The node begins to load the model of ``config`` itself; from now on others can take its place."""
        self._loaded = config.model
        self._tried = self._seen = _look_at(config.model)
        # Its thread begins with the first load: every thread has memory of its own, and most nodes never reload.
        self._loader = Worker(f"{self._node.get_name()} loader", LatestSlot(), _nothing, self._failed)

    def end(self) -> None:
        """No model takes the place of another from now on; one that is being loaded is given up."""
        with self._lock:
            loader, self._loader, self._loaded = self._loader, None, ""
        if loader is not None:
            # A thread that is idle ends at once, and a node is only destroyed when no thread knows it any more.
            loader.stop(timeout_s=_END_LIMIT_S if loader.idle else 0)
        self._node.health.warning("reload_model", None)

    def watch(self) -> None:
        """Have the file looked at, if its time has come; to be called often."""
        period_s, loader, now_s = self._node.config.watch_model_s, self._loader, time.monotonic()
        if period_s > 0 and now_s >= self._due_s and loader is not None and loader.idle:
            self._due_s = now_s + period_s
            loader.start()
            loader.call(self._look)

    def _run_soon(self, function: Callable[[], None]) -> bool:
        loader = self._loader
        if loader is not None:
            loader.start()
            loader.call(function)
        return loader is not None

    def _refused(self, message: str) -> None:
        self._node.health.count("reloads_refused")
        self._node.health.warning("reload_model", f"{message}; in use is still {self._loaded}")

    def _failed(self, error: Exception) -> None:
        self._node.health.failed(error)
        self._refused(f"reload_model: internal error, {type(error).__name__}: {error}")

    # On the thread of loading.

    def _look(self) -> None:
        """Load the file if it is another than the one tried last, and the same as a look ago: completely written."""
        before, self._seen = self._seen, _look_at(self._node.config.model)
        if self._seen == before and self._seen != self._tried:
            try:
                self._node.get_logger().info(self._reload())
            except Seg3dError as error:
                self._refused(f"watch_model_s: {error}")

    def _reload(self) -> str:
        node, loader, config = self._node, self._loader, self._node.config
        self._tried = _look_at(config.model)
        with node.health.stage("load_model"):
            model = self._prepare(config)
        free_unused_memory()  # of this thread
        self._hand_over(lambda: self._put(loader, model, config.model))
        node.health.count("reloads")
        node.health.warning("reload_model", None)
        return f"in use now: {config.model}"

    def _hand_over(self, switch: Callable[[], None]) -> None:
        """Have it done between two inputs, and wait for that."""
        done: Future[None] = Future()

        def act() -> None:
            try:
                switch()
                done.set_result(None)
            except Seg3dError as error:
                done.set_exception(error)
            finally:
                done.cancel()  # of what is not foreseen the worker tells; nobody may wait for it

        if not self._node.run_between(act):
            raise ConfigError("the node was cleaned up while the model was loaded")
        done.result()

    def _put(self, loader: Worker[None] | None, model: ModelT, name: str) -> None:
        with self._lock:
            if self._loader is not loader:
                raise ConfigError("the node was cleaned up while the model was loaded")
            self._switch(model)
            self._loaded = name


def _look_at(model: str) -> Look:
    try:
        file = Path(model).stat()
    except OSError:
        return model, 0, 0
    return model, file.st_mtime_ns, file.st_size


def _nothing(item: None) -> None:
    """Nothing is put into the mailbox: the thread is only called."""

"""What the core says, said by the node: the core knows Python's logging alone."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

_CORE = logging.getLogger("seg3d_core")


class _ToNode(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # rclpy wants one place in the code per severity.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        elif record.levelno >= logging.INFO:
            self._logger.info(record.getMessage())
        else:
            self._logger.debug(record.getMessage())


def speak_for_core(logger: RcutilsLogger) -> None:
    """From now on ``logger`` says what the core logs; the node made last speaks."""
    for handler in [handler for handler in _CORE.handlers if isinstance(handler, _ToNode)]:
        _CORE.removeHandler(handler)
    _CORE.addHandler(_ToNode(logger))
    _CORE.setLevel(logging.INFO)
    _CORE.propagate = False

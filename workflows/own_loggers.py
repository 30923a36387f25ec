"""Jeyn's own loggers go on when a project configures logging.

`fileConfig` and `dictConfig` switch off every logger that they do not name, unless told otherwise
(https://docs.python.org/3/library/logging.config.html), and what Jeyn left out or replaced would be told to nobody. A
project that wants less sets a level for "jeyn".
"""

from __future__ import annotations

import logging


def switch_on() -> None:
    """After code of the project ran that may have switched them off."""
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.partition(".")[0] == "jeyn" and isinstance(logger, logging.Logger):
            logger.disabled = False

"""How the command line logs: one handler, text or JSON, everything redacted. The library itself configures nothing.

JSON is made by python-json-logger: it is a formatter for the standard `logging`, has no dependencies, and lets the fields be
redacted before they are written. structlog was looked at: it wants to be called in place of `logging`, which a library should
not ask of its users, and its way through `logging` needs a chain of processors for what is one formatter here.
"""

from __future__ import annotations

import logging
import re
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from agentrag.core.errors import SettingsError
from agentrag.core.observing import Log, redactor_of
from agentrag.core.redact import Redactor
from agentrag.core.settings import Settings
from agentrag.telemetry.records import TOLD

if TYPE_CHECKING:
    _Stream = logging.StreamHandler[TextIO]
else:
    _Stream = logging.StreamHandler
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_LINES = re.compile(_CONTROL.pattern.replace(r"\x0a-", r"\x0b-"))


def configure_logs(settings: Settings) -> None:
    """Log to standard error or to a file as `log` of the settings says; what an earlier call configured is replaced.

    Other libraries are heard from level warning on.

    Raises:
        SettingsError: The file cannot be written.
    """
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _ToFile | _ToStderr)]:
        root.removeHandler(earlier)
        earlier.close()
    log, redactor = settings.log, redactor_of(settings)
    handler = _ToStderr() if log.file is None else _opened(log.file)
    handler.setFormatter(_formatter(log, redactor))
    handler.addFilter(_heard)
    if log.file is None and log.format == "text":
        handler.addFilter(_not_told)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[log.level.upper()]
    logging.getLogger("agentrag").setLevel(level)
    root.setLevel(max(level, logging.WARNING))


class TextFormatter(logging.Formatter):
    """One line per record and one per line of a traceback; nothing in it moves a cursor or begins a line of its own."""

    def __init__(self, pattern: str, redactor: Redactor) -> None:
        super().__init__(pattern, "%Y-%m-%dT%H:%M:%S%z")
        self._redact = redactor.text

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is the standard library's
        """The line of the record."""
        record.levelname = record.levelname.lower()
        return _CONTROL.sub(_escaped, self._redact(super().formatMessage(record)))

    def format(self, record: logging.LogRecord) -> str:
        """The line and the traceback."""
        own = logging.makeLogRecord(record.__dict__)  # other handlers have theirs: formatting leaves marks on a record
        own.exc_text = None
        return _CONTROL_BUT_LINES.sub(_escaped, self._redact(super().format(own)))


def json_formatter(redactor: Redactor) -> logging.Formatter:
    """One JSON object a line: time, level, logger, message, the fields of the record, `exc_info` with a traceback."""
    from pythonjsonlogger.core import LogData  # lazy: only JSON needs it
    from pythonjsonlogger.json import JsonFormatter

    class Redacting(JsonFormatter):
        def process_log_record(self, log_data: LogData) -> LogData:
            time = {"time": log_data.pop("time")}  # its digits are no text
            return time | dict(redactor.data(_plain(log_data)))

    names = {"levelname": "level", "name": "logger"}
    return Redacting(["levelname", "name", "message"], rename_fields=names, timestamp="time")


def _formatter(log: Log, redactor: Redactor) -> logging.Formatter:
    if log.format == "json":
        return json_formatter(redactor)
    short = "%(levelname)s: %(message)s"
    return TextFormatter(short if log.file is None else f"%(asctime)s %(name)s {short}", redactor)


class _ToStderr(_Stream):
    """Writes to what standard error is when it writes."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # as in logging.lastResort: the stream is looked up each time

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # never assigned
        return sys.stderr


class _ToFile(WatchedFileHandler):
    """Writes to a file, anew where a tool that rotates logs has moved it; only its owner may read it."""

    def _open(self) -> TextIO:  # type: ignore[override]  # it is a text file
        file = super()._open()
        Path(self.baseFilename).chmod(0o600)
        return file


def _opened(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _ToFile(path, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"log.file {path} cannot be written: {error.strerror or error}") from error


def _heard(record: logging.LogRecord) -> bool:
    """Whether it is of this library or a warning: other libraries set levels of their own, and say much."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == "agentrag"


def _not_told(record: logging.LogRecord) -> bool:
    """Whether the command does not say the same in words of its own."""
    return getattr(record, "event", "") not in TOLD


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _plain(value: object) -> object:
    """The data of a record as JSON data."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)

"""config.yaml -> Config, or every problem in it; the only place that reads files and variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from multiproxy.config.access import hashed, with_folder
from multiproxy.config.bind import Binder
from multiproxy.config.checks import check, with_ids
from multiproxy.config.interpolate import Interpolation, ReadFile
from multiproxy.config.model import Config
from multiproxy.config.problems import ConfigError, Problem
from multiproxy.config.report import Path as SettingPath
from multiproxy.config.report import TooManyProblems
from multiproxy.config.tree import compose

MAX_FILE = 2**20  # bytes of config.yaml: larger is another file
MAX_SECRET = 2**16  # bytes of a ${file:...}: a key or a certificate, not a disk


@dataclass(frozen=True, slots=True)
class Loaded:
    """A config, and the line (from 1) of every setting that the file has."""

    config: Config
    lines: Mapping[SettingPath, int]


def load(path: str | os.PathLike[str]) -> Config:
    """Read, interpolate and check one file. ``${file:x}`` is relative to its folder.

    Raises:
        ConfigError: it cannot be read, is no UTF-8 text of at most 1 MiB, or has problems.
    """
    return load_with_lines(path).config


def load_with_lines(path: str | os.PathLike[str]) -> Loaded:
    """As `load`, for whoever wants to know where a value comes from."""
    name = os.fspath(path)
    try:
        content = _read(path, MAX_FILE)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError([Problem(0, 0, f"cannot read the file: {reason}")], name) from None
    except ValueError as error:  # also a path with a NUL in it
        raise ConfigError([Problem(0, 0, f"cannot read the file: {error}")], name) from None
    try:
        # Editors on Windows start a file with a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text (line {line})"
        raise ConfigError([Problem(0, 0, message, "save it as UTF-8")], name) from None
    folder = Path(path).parent

    def read_file(wanted: str) -> str:
        content = _read(folder / wanted, MAX_SECRET)
        try:
            return content.decode()
        except UnicodeDecodeError:  # its own message would show a byte of the secret
            raise ValueError("not UTF-8 text") from None

    found = _understand(text, name, os.environ, read_file)
    return replace(found, config=with_folder(found.config, folder.absolute()))


def parse(text: str, name: str, environ: Mapping[str, str], read_file: ReadFile) -> Config:
    """Check the text of a config. ``name`` is what problems call the file.

    ``read_file`` serves ``${file:...}``: it takes a path and returns the text.

    Raises:
        ConfigError: with all problems, in the order of the text.
    """
    return _understand(text, name, environ, read_file).config


def _understand(text: str, name: str, environ: Mapping[str, str], read_file: ReadFile) -> Loaded:
    if len(text) > MAX_FILE:
        raise ConfigError([Problem(0, 0, f"larger than {MAX_FILE} bytes")], name)
    root, refused = compose(text)
    if root is None:
        empty = Problem(0, 0, "the file is empty", "it needs 'backends:' at least")
        raise ConfigError(refused or [empty], name, text)
    binder = Binder(text, Interpolation(environ, read_file))
    config = Config()
    try:
        config = hashed(with_ids(binder.bind(Config, root)))
        check(config, binder.report)
    except TooManyProblems:
        pass  # those found are enough
    problems = refused + binder.report.problems
    if problems:
        raise ConfigError(problems, name, _without(binder.secrets, text))
    lines = {path: place.span.line + 1 for path, place in binder.report.places.items()}
    return Loaded(config, lines)


def _read(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a file, which may be a pipe. Raises OSError, ValueError when larger."""
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most} bytes")
    return content


def _without(secrets: set[tuple[int, int]], text: str) -> str:
    """The text with the secrets blanked out, every position staying what it was."""
    for start, end in secrets:
        blank = "".join(char if char.isspace() else "*" for char in text[start:end])
        text = text[:start] + blank + text[end:]
    return text

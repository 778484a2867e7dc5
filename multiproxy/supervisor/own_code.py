"""How another process of this very program is run, whatever folder this one was started in.

Without ``-P`` Python looks for modules in the working directory first: a folder of the name
``multiproxy`` there, such as another version's repository, would take the place of our code.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PARENT = str(Path(__file__).parents[2])  # the folder that the package is in


def command(module: str, *words: str) -> tuple[str, ...]:
    """What runs one of our modules; it needs ``environ``."""
    return (sys.executable, "-P", "-m", module, *words)


def environ() -> Mapping[str, str]:
    """Ours; with the place of the package, unless that is where every Python looks."""
    if PARENT in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return os.environ
    paths = [PARENT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

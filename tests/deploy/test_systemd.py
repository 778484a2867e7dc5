"""The unit: systemd has nothing to say against it, and it fits how MultiProxy ends."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from multiproxy.cli import exit_codes
from multiproxy.cli.main import build_parser
from multiproxy.config import Timeouts

UNIT = Path(__file__).parent.parent.parent / "deploy/systemd/multiproxy.service"
PROGRAM = "/opt/multiproxy/bin/multiproxy"


def test_systemd_accepts_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        if "MULTIPROXY_SKIP_NOTHING" in os.environ:
            pytest.fail("there is no systemd-analyze here")
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def service():
    # Settings may be repeated in a unit: the last one is kept here, which is enough.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


def test_it_starts_what_serve_understands(service):
    program, *arguments = service["ExecStart"].split()
    assert program == PROGRAM
    assert build_parser().parse_args(arguments).command == "serve"


def test_only_the_parent_is_told_to_end_and_gets_the_time_to_drain(service):
    assert service["KillMode"] == "mixed"
    minutes = int(service["TimeoutStopSec"].removesuffix("min"))
    assert minutes * 60 > Timeouts().drain


def test_a_wrong_configuration_is_not_tried_again_and_again(service):
    assert service["RestartPreventExitStatus"] == str(exit_codes.USAGE)

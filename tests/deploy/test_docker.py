"""The image and the compose file: what they name is there, and their configuration is valid."""

import re
from pathlib import Path

import yaml

from multiproxy.config import Timeouts, load

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy/docker"


def test_the_image_copies_what_exists_and_what_is_not_ignored():
    text = (FOLDER / "Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for name in line.split()[:-1]
    }
    kept = {
        line[1:]
        for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_has_everything_the_package_is_built_from():
    project = (ROOT / "pyproject.toml").read_text()
    text = (FOLDER / "Dockerfile").read_text()
    for name in ("README.md", "LICENSE", "web", "multiproxy"):
        assert name in project and re.search(rf"^COPY .*\b{name}\b", text, re.MULTILINE)


def test_the_compose_file_publishes_to_this_machine_only_and_waits_for_the_drain():
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["multiproxy"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    minutes = int(service["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 > Timeouts().drain
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_what_the_engine_downloads_is_kept_in_a_volume():
    llama = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["llama"]
    assert llama["volumes"] == [f"models:{llama['environment']['LLAMA_CACHE']}"]


def test_its_configuration_is_valid_with_the_variables_it_asks_for(monkeypatch):
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    for name in services["multiproxy"]["environment"]:
        monkeypatch.setenv(name, "secret-for-the-test")
    config = load(FOLDER / "config.yaml")
    assert [backend.url.host for backend in config.backends] == ["llama"]
    assert {"multiproxy", "llama"} == set(services)
    assert (config.listen.port, config.dashboard.listen.port) == (8001, 8080)

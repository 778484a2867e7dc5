"""Keys for clients: printed once, known by their digest, and accepted."""

import json
import re

from multiproxy.auth import Keyring
from multiproxy.cli import main
from multiproxy.config import load


def test_a_new_key_opens_what_its_line_in_the_config_closes(capsys, tmp_path):
    assert main(["key", "ann"]) == 0
    text = capsys.readouterr().out
    key, line = re.findall(r"^  (mp-.*|- .*)$", text, re.MULTILINE)
    assert len(key) >= 46 and text.count(key) == 1
    path = tmp_path / "config.yaml"
    path.write_text(f"backends: [{{simulate: {{}}}}]\nkeys:\n  {line}\n")
    ring = Keyring(load(path).keys, {"ann": 0})
    assert ring.find(f"Bearer {key}".encode(), None).name == "ann"


def test_every_key_is_another(capsys):
    found = set()
    for _ in range(20):
        assert main(["key", "ann", "--json"]) == 0
        made = json.loads(capsys.readouterr().out)
        assert made["config"]["name"] == made["name"] == "ann"
        assert made["key"] not in made["config"]["key"]
        found.add(made["key"])
    assert len(found) == 20


def test_a_name_that_the_config_would_refuse_is_refused(capsys):
    assert main(["key", "ann smith"]) == 2
    assert "1 to 32 letters" in capsys.readouterr().err

"""The reference page: current, and complete."""

from pathlib import Path

from multiproxy.config.reference import reference

PAGE = Path(__file__).parent.parent.parent / "docs/configuration.md"


def row(page, chapter, setting):
    section = page.partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    return next(line for line in section.splitlines() if line.startswith(f"| `{setting}` |"))


def test_the_page_is_the_generated_one():
    assert PAGE.read_text() == reference(), "run scripts/generate.sh"


def test_a_row_tells_values_default_and_meaning():
    page = reference()
    assert row(page, "`backends[].simulate`", "slots") == (
        "| `slots` | whole number, 1 to 256 | `4` | How many answers it generates at once. |"
    )
    assert row(page, "`timeouts`", "comment").startswith(
        "| `comment` | duration, 1ms to 30d | `10s` | "
    )
    assert row(page, "`limits`", "body").startswith("| `body` | size, 1 to 1024GiB | `32MiB` |")
    assert row(page, "`log`", "format").startswith("| `format` | `auto`, `text`, `json` | `auto` |")


def test_a_default_of_several_lines_is_one_line_of_the_table():
    default = r'| `"<system-reminder>\n{text}\n</system-reminder>"` |'
    assert default in row(reference(), "`translation`", "reminder")


def test_required_and_derived_settings_say_so():
    page = reference()
    assert "| **required** |" in row(page, "`keys[]`", "key")
    assert "| derived |" in row(page, "`backends[]`", "id")
    assert "| `auto` |" in row(page, "Top level", "workers")


def test_a_models_own_name_is_its_key_and_no_setting():
    page = reference()
    assert "| `backends` |" in row(page, "`models.NAME`", "backends")
    assert "| `name` |" not in page.partition("## `models.NAME`")[2].partition("## ")[0]

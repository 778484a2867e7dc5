"""What the Usage page shows, for other programs: one record per hour and name."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.messages import Response
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.usage import Choice, asked

Records = list[dict[str, object]]

COLUMNS = (
    "hour", "name", "requests", "failures", "prompt_tokens", "cached_tokens",
    "processed_tokens", "output_tokens", "spent_tokens", "compute_s",
)  # fmt: skip


def export(snapshot: Snapshot, look: Look) -> tuple[Choice, Records]:
    """One record per hour and name."""
    choice, rows = asked(snapshot, look)
    return choice, [
        {
            "hour": formats.iso(row.start)[:19] + "Z",
            **{name: getattr(row, name) for name in COLUMNS[1:-1]},
            "compute_s": round(row.compute_s, 3),
        }
        for row in rows
    ]


def as_csv(choice: Choice, records: Sequence[Mapping[str, object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["hour", choice.by, *COLUMNS[2:]])
    for record in records:
        writer.writerow([inert(record[name]) for name in COLUMNS])
    return out.getvalue().encode()


def as_json(choice: Choice, records: Sequence[Mapping[str, object]]) -> bytes:
    return json.dumps({"range": choice.range, "by": choice.by, "hours": records}).encode() + b"\n"


def inert(value: object) -> object:
    """A spreadsheet must not run a name as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def response(snapshot: Snapshot, look: Look, kind: str) -> Response:
    """A file to be saved; ``kind`` is csv or json."""
    choice, records = export(snapshot, look)
    body = as_csv(choice, records) if kind == "csv" else as_json(choice, records)
    name = f"multiproxy-usage-{choice.range}-by-{choice.by}.{kind}"
    content_type = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
    disposition = ("Content-Disposition", f'attachment; filename="{name}"')
    return Response(200, body, content_type, headers=(disposition,))

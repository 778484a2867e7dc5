"""What no single setting can tell: names that are taken, names that nobody has, either-or.

Works on whatever could be bound, so that these problems are reported together with the others;
hence nothing is claimed about a setting that is itself wrong. Messages speak of names as the
file writes them, ``${VAR}`` and all, never of what a variable stands for.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

from multiproxy.config.access import MAX_KEYS, exposures
from multiproxy.config.backend import Backend
from multiproxy.config.command import PORT
from multiproxy.config.model import MAX_BACKENDS, Config
from multiproxy.config.report import Path, Report, suggest
from multiproxy.config.setting import settings_of
from multiproxy.config.values import Address, Url

_LONGEST_HOST = 58  # a backend id has 64 characters; a colon and the port take 6


def with_ids(config: Config) -> Config:
    """The config with an id for every backend that was written without one."""
    simulated = managed = 0
    backends = []
    for backend in config.backends:
        simulated += backend.simulate is not None
        managed += bool(backend.command)
        if not backend.id and backend.command:
            backend = replace(backend, id=f"managed-{managed}")
        elif not backend.id and backend.simulate is not None:
            backend = replace(backend, id=f"simulated-{simulated}")
        elif not backend.id and backend.url is not None:
            backend = replace(backend, id=_id_of(backend.url))
        backends.append(backend)
    return replace(config, backends=tuple(backends))


def _id_of(url: Url) -> str:
    """host:port; an IPv6 address may start with a colon, which an id may not."""
    host = f"ipv6-{url.host}" if ":" in url.host else url.host
    if url.found_by == "srv":
        return host[:_LONGEST_HOST].lstrip("_")
    return f"{host[:_LONGEST_HOST]}:{url.port}"


def check(config: Config, report: Report) -> None:
    """Note every contradiction in ``config``, which `with_ids` has completed.

    Raises:
        TooManyProblems: as `Report.add`.
    """
    _check_listeners(config, report)
    _check_backends(config, report)
    _check_commands(config, report)
    _check_model_names(config, report)
    _check_references(config, report)
    _check_rules(config, report)
    _check_default_model(config, report)
    _check_keys(config, report)
    _check_capture(config, report)
    if not _is_wrong(("keys",), report):
        for path, message, hint in exposures(config):
            report.blame(path, message, hint)
    if "*" in config.cors_origins and len(config.cors_origins) > 1:
        at = ("cors_origins", config.cors_origins.index("*"))
        report.blame(at, "'*' already allows every origin", "remove it, or all the others")
    if config.limits.store and find_spec("redis") is None:
        hint = "pip install redis, beside MultiProxy"
        report.blame(("limits", "store"), "this needs the Python package 'redis'", hint)


def _check_listeners(config: Config, report: Report) -> None:
    api, dashboard = config.listen, config.dashboard
    # Port 0 is a free one each time.
    if dashboard is not None and dashboard.listen == api and api.port != 0:
        path = ("dashboard", "listen") if ("dashboard", "listen") in report.places else ("listen",)
        report.blame(path, "the API and the dashboard cannot listen on the same address")
    own = {api: "API", **({dashboard.listen: "dashboard"} if dashboard is not None else {})}
    for index, backend in enumerate(config.backends):
        if backend.url is not None and not backend.url.found_by:
            host = "127.0.0.1" if backend.url.host == "localhost" else backend.url.host
            taken = own.get(Address(host, backend.url.port))
            if taken is not None:
                message = f"this is the address of MultiProxy's own {taken}"
                hint = "give one of them another port: the default of llama-server is 8080"
                report.blame(("backends", index, "url"), message, hint)


def _check_backends(config: Config, report: Report) -> None:
    if not config.backends and not _is_wrong(("backends",), report) and not _is_wrong((), report):
        hint = "write 'backends:' and below it '- url: http://127.0.0.1:8080'"
        report.blame(("backends",), "there must be at least one backend", hint)
    if len(config.backends) > MAX_BACKENDS:
        report.blame(("backends",), f"there can be at most {MAX_BACKENDS} backends")
    first: dict[str, Path] = {}
    for index, backend in enumerate(config.backends):
        path = ("backends", index)
        _check_kind(backend, path, report)
        if backend.tls is not None and (backend.url is None or backend.url.scheme != "https"):
            report.blame((*path, "tls"), "only an https backend has TLS settings")
        if not backend.id:
            continue
        if backend.id in first:
            where = f"(first on line {report.line(_id_place(first[backend.id], report))})"
            at = _id_place(path, report)
            message = f"another backend has the same id {where}"
            hint = "" if at[-1] == "id" else "its id comes from its url: give it an 'id:'"
            report.blame(at, message, hint)
        first.setdefault(backend.id, path)


def _check_kind(backend: Backend, path: Path, report: Report) -> None:
    """Exactly one of url, command and simulate."""
    written = [name for name in ("url", "command", "simulate") if (*path, name) in report.places]
    if len(written) > 1:
        message = {
            "command": "a backend has a url or a command, not both",
            "simulate": f"a backend has a {written[0]} or is simulated, not both",
        }
        report.blame((*path, written[-1]), message[written[-1]])
    elif not written and not _is_wrong(path, report):
        hint = "'url: http://host:port', or 'simulate: {}' for a built-in one"
        report.blame(path, "a backend needs a url", hint)


def _check_commands(config: Config, report: Report) -> None:
    """What belongs to a command has one, and a command knows its port."""
    always: dict[str, Path] = {}
    for index, backend in enumerate(config.backends):
        path: Path = ("backends", index)
        if (*path, "command") not in report.places:
            for name in ("env", "start", "ttl", "exclusive"):
                default = settings_of(Backend)[name].default
                if (*path, name) in report.places and getattr(backend, name) != default:
                    report.blame((*path, name), f"only a backend with a command has '{name}'")
            continue
        if _is_wrong((*path, "command"), report) or _is_wrong((*path, "env"), report):
            continue
        texts = (*(backend.command or ()), *(each.value for each in backend.env))
        if not backend.command:
            report.blame((*path, "command"), "the command is empty")
        elif not any(PORT in text for text in texts):
            hint = "llama-server is told with '--port ${PORT}'"
            report.blame((*path, "command"), "the command must hold ${PORT}, where to listen", hint)
        if backend.start == "always" and backend.ttl is not None:
            report.blame((*path, "ttl"), "what always runs has no 'ttl'")
        if backend.start == "always" and backend.exclusive is not None:
            first = always.setdefault(backend.exclusive, path)
            if first is not path:
                message = "only one of those that exclude each other can always run"
                report.blame((*path, "start"), message)


def _id_place(path: Path, report: Report) -> Path:
    """What gave a backend its id."""
    for name in ("id", "url", "command", "simulate"):
        if (*path, name) in report.places:
            return (*path, name)
    return path


def _claims(config: Config) -> Iterator[tuple[str, Path]]:
    """Every name by which a model can be asked for, and where it is written."""
    for model in config.models:
        yield model.name, ("models", model.name)
    for model in config.models:
        for index, alias in enumerate(model.aliases):
            yield alias, ("models", model.name, "aliases", index)


def _check_model_names(config: Config, report: Report) -> None:
    first: dict[str, Path] = {}
    for name, path in _claims(config):
        if name and name in first:
            where = f"(first on line {report.line(first[name])})"
            report.blame(path, f"{report.text(path)} already names a model {where}")
        first.setdefault(name, path)


def _check_references(config: Config, report: Report) -> None:
    """The backends of each model exist, and each is listed once."""
    known = {backend.id: _shown_id(index, backend, report) for index, backend in _ids(config)}
    # Ids that are wrong themselves: using them is not a second mistake.
    wrong = {
        report.places[path].text
        for path in report.places
        if path[:1] == ("backends",) and path[-1] == "id"
    }
    for model in config.models:
        listed: set[str] = set()
        for index, name in enumerate(model.backends):
            path: Path = ("models", model.name, "backends", index)
            if name and name not in known and name not in wrong:
                message = f"backend {report.text(path)} is not defined"
                shown = report.places[path].text
                report.blame(path, message, suggest(shown, known.values(), what="defined are"))
            elif name and name in listed:
                report.blame(path, f"backend {report.text(path)} is listed twice")
            listed.add(name)


def _check_rules(config: Config, report: Report) -> None:
    """Fallbacks and splits name other models of the file; a split is not split again."""
    models = {model.name: model for model in config.models}
    tagged = {tag for backend in config.backends for tag in backend.tags}
    for model in config.models:
        named: list[tuple[str, Path]]
        named = [(name, ("fallback", index)) for index, name in enumerate(model.fallback)]
        named += [(arm.model, ("split", index, "model")) for index, arm in enumerate(model.split)]
        named += [(model.mirror.model, ("mirror", "model"))] if model.mirror else []
        for name, place in named:
            path: Path = ("models", model.name, *place)
            if path not in report.places:  # it is written as one text
                path = path[:-1]
            if name == model.name:
                does = "mirror" if place[0] == "mirror" else "stand in for"
                report.blame(path, f"a model cannot {does} itself")
            elif name and name not in models:
                message = f"model {report.text(path)} is not defined"
                report.blame(path, message, suggest(name, models, what="defined are"))
            elif place[0] == "split" and models[name].split:
                report.blame(path, "a split cannot have another split as a part")
            elif place[0] == "mirror" and models[name].split:
                report.blame(path, "a split cannot get the copies: name one of its parts")
        if model.split and (model.backends or model.tags):
            path = ("models", model.name, "split")
            report.blame(path, "a model has backends or is split among other models, not both")
        if model.split and not sum(arm.weight for arm in model.split):
            report.blame(("models", model.name, "split"), "no part of the split has a weight")
        for index, tag in enumerate(model.tags):
            if tag not in tagged:
                path = ("models", model.name, "tags", index)
                report.blame(path, f"no backend has the tag {report.text(path)}")


def _ids(config: Config) -> Iterator[tuple[int, Backend]]:
    return ((index, backend) for index, backend in enumerate(config.backends) if backend.id)


def _shown_id(index: int, backend: Backend, report: Report) -> str:
    """The id as the file writes it, for a hint; a derived one may come from a variable too."""
    place = report.places.get(_id_place(("backends", index), report))
    return place.text if place is not None and "${" in place.text else backend.id


def _check_default_model(config: Config, report: Report) -> None:
    name, path = config.default_model, ("default_model",)
    if name is None or not config.models or path not in report.places:
        return
    claimed = [claim for claim, _ in _claims(config) if "*" not in claim]
    if name not in claimed:
        shown = [report.text(path)[1:-1] for claim, path in _claims(config) if "*" not in claim]
        message = f"default_model {report.text(path)} is not one of the models"
        report.blame(path, message, suggest(report.places[path].text, shown, what="one of"))


def _check_keys(config: Config, report: Report) -> None:
    """Every key has a name and a secret of its own, and its models exist."""
    if len(config.keys) > MAX_KEYS:
        report.blame(("keys",), f"there can be at most {MAX_KEYS} keys")
    first: dict[str, Path] = {}
    known = [model.name for model in config.models]
    for index, key in enumerate(config.keys):
        for setting, value in (("name", key.name), ("key", key.key)):
            path: Path = ("keys", index, setting)
            if value and value in first:
                where = f"(first on line {report.line(first[value])})"
                report.blame(path, f"another key has the same {setting} {where}")
            first.setdefault(value, path)
        for position, pattern in enumerate(key.models):
            if known and pattern and "*" not in pattern and pattern not in known:
                path = ("keys", index, "models", position)
                message = f"{report.text(path)} is not one of the models"
                report.blame(path, message, suggest(report.places[path].text, known))


def _check_capture(config: Config, report: Report) -> None:
    """Who shall be captured has a key."""
    known = [key.name for key in config.keys]
    for position, name in enumerate(config.capture.keys if config.capture else ()):
        path: Path = ("capture", "keys", position)
        if name and name not in known:
            message = f"{report.text(path)} is not the name of a key"
            report.blame(path, message, suggest(report.places[path].text, known))


def _is_wrong(path: Path, report: Report) -> bool:
    """Whether a problem of this setting, or of anything in it, is noted already.

    The empty path asks about the file as a whole, not about everything in it.
    """
    start = ".".join(map(str, path))
    return any(f"{found.path}.".startswith(f"{start}.") for found in report.problems)

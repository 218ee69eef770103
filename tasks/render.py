"""A router's model becomes the texts that it should hold, each line with its origin.

Which files a router takes is the table below; their order is the order in which they must be
brought into force: an address is taken (keepalived, last) only when everything that serves it
stands. What a template owns of a text it declares itself, with lines that start with `!owns`.

Templates take the model and the words of `spelling`; they do no arithmetic. See `provenance` for
how a line knows its template and its intent.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hacc_agent import config as agent_config
from hacc_agent.api.config import ApiConfig, Token
from hacc_agent.api.config import to_toml as api_toml
from hacc_agent.hsrp import config as hsrp

from . import model as _model
from . import spelling, unverified
from .agent import AUTHORITY, CERTIFICATE, KEY
from .errors import Place
from .model import DeviceModel
from .provenance import TEMPLATES, Output, TracingEnvironment
from .rendered import File, Line, Owner, Platform, Rendered
from .standby import hsrp_config, speaks_hsrp

RUNNING_CONFIG = "running-config"
AGENT_CONFIG = "/etc/hacc/agent.toml"
HSRP_CONFIG = "/etc/hacc/hsrp.toml"
API_CONFIG = "/etc/hacc/api.toml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one file comes about."""

    path: str
    mode: int
    owner: Owner
    templates: tuple[str, ...]  # in templates/, one after the other; none for what is not a text
    wanted: Callable[[DeviceModel], bool] = lambda _: True
    """On which routers. A whole file of ours goes from a router that no longer wants it."""


RECIPES: dict[Platform, tuple[Recipe, ...]] = {
    Platform.IOS: (
        Recipe(
            RUNNING_CONFIG,
            0o600,
            Owner.LINES,
            ("ios/interfaces.j2", "ios/mobile-ip.j2", "ios/routing.j2", "ios/management.j2"),
        ),
    ),
    Platform.LINUX: (
        # The ARP rules stand before the virtual Home Agent address does.
        Recipe("/etc/sysctl.d/90-hacc.conf", 0o644, Owner.WHOLE, ("linux/sysctl.conf.j2",)),
        Recipe("/etc/frr/daemons", 0o640, Owner.LINES, ("linux/daemons.j2",)),
        Recipe("/etc/frr/frr.conf", 0o640, Owner.LINES, ("linux/frr.conf.j2",)),
        Recipe("/etc/snmp/snmpd.conf", 0o600, Owner.WHOLE, ("linux/snmpd.conf.j2",)),
        *(
            Recipe(path, 0o600, Owner.WHOLE, (template,), lambda device: device.link is not None)
            for path, template in (
                (AUTHORITY, "linux/authority.pem.j2"),
                (CERTIFICATE, "linux/router.pem.j2"),
                (KEY, "linux/router.key.j2"),
            )
        ),
        Recipe(AGENT_CONFIG, 0o600, Owner.WHOLE, (), lambda device: device.agent is not None),
        Recipe(
            "/etc/systemd/system/hacc-agent.service",
            0o644,
            Owner.WHOLE,
            ("linux/hacc-agent.service.j2",),
            lambda device: device.agent is not None,
        ),
        Recipe(API_CONFIG, 0o600, Owner.WHOLE, (), lambda device: device.api is not None),
        Recipe(
            "/etc/systemd/system/hacc-agent-api.service",
            0o644,
            Owner.WHOLE,
            ("linux/hacc-agent-api.service.j2",),
            lambda device: device.api is not None,
        ),
        Recipe(
            "/etc/keepalived/keepalived.conf",
            0o600,
            Owner.WHOLE,
            ("linux/keepalived.conf.j2",),
            lambda device: bool(device.groups) and not speaks_hsrp(device),
        ),
        Recipe(HSRP_CONFIG, 0o600, Owner.WHOLE, (), speaks_hsrp),
        Recipe(
            "/etc/systemd/system/hacc-hsrp.service",
            0o644,
            Owner.WHOLE,
            ("linux/hacc-hsrp.service.j2",),
            speaks_hsrp,
        ),
    ),
}

WORDS: dict[str, Callable[..., object]] = {
    "association": spelling.association,
    "home_agent_options": spelling.home_agent_options,
    "home_link": spelling.home_link,
    "home_routes": spelling.home_routes,
    "other_tracks": spelling.other_tracks,
    "own_addresses": spelling.own_addresses,
    "own_lifetime": spelling.own_lifetime,
    "pattern": spelling.pattern,
    "prefix": spelling.prefix,
    "seconds": spelling.seconds,
    "seen_association": spelling.seen_association,
    "spi": spelling.spi,
    "standby_defaults": spelling.standby_defaults,
    "standby_time": spelling.standby_time,
    "track_numbers": spelling.track_numbers,
    "tracks": spelling.tracks,
    "unverified": unverified.form,
}


@functools.cache
def environment() -> TracingEnvironment:
    """The one environment: templates are read and compiled once in a run."""
    placed = frozenset(
        part
        for part in vars(_model).values()
        if isinstance(part, type) and "place" in getattr(part, "__dataclass_fields__", ())
    )
    return TracingEnvironment(placed, WORDS)


def render(model: DeviceModel) -> Rendered:
    """The texts of one router. Pure but for templates/, and the same every time."""
    return Rendered(
        model.host,
        model.platform,
        tuple(_file(recipe, model) for recipe in RECIPES[model.platform]),
    )


class Texts(Mapping[str, Rendered]):
    """Many routers' texts by host, in their order; each is rendered when it is first asked for.

    Those of a fleet of thousands would take minutes of nobody's use and a gigabyte.
    """

    def __init__(self, models: Iterable[DeviceModel]) -> None:
        self._models = {model.host: model for model in models}
        self._made: dict[str, Rendered] = {}

    def __getitem__(self, host: str) -> Rendered:
        if host not in self._made:
            self._made[host] = render(self._models[host])
        return self._made[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, host: object) -> bool:
        return host in self._models


def _file(recipe: Recipe, model: DeviceModel) -> File:
    if not recipe.wanted(model):
        return File(recipe.path, recipe.mode, Owner.WHOLE, (), (), absent=True)
    made = {AGENT_CONFIG: _agent, HSRP_CONFIG: _hsrp, API_CONFIG: _api}.get(recipe.path)
    output = made(model) if made is not None else _templates(recipe, model)
    return File(recipe.path, recipe.mode, recipe.owner, output.owns, output.lines)


def _templates(recipe: Recipe, model: DeviceModel) -> Output:
    wholes = (model.place, model.service.place) if model.service else (model.place,)
    outputs = [
        environment().output(template, {"model": model}, wholes) for template in recipe.templates
    ]
    if len(outputs) == 1:
        return outputs[0]
    return Output(
        tuple(line for output in outputs for line in output.lines),
        tuple(dict.fromkeys(pattern for output in outputs for pattern in output.owns)),
    )


def _agent(model: DeviceModel) -> Output:
    """The agent's configuration has no template: what the daemon reads is what it defines.

    The intent's line of a table is that of the part of the model which the table was made from.
    """
    assert model.agent is not None  # Recipe.wanted
    text = agent_config.to_toml(model.agent)
    return _toml(text, Place("hacc_agent/config.py", 0), model, dict(model.agent_places))


def _hsrp(model: DeviceModel) -> Output:
    """The HSRP speaker's configuration, likewise: its tables are the groups."""
    groups = {"groups": tuple(group.place for group in model.groups)}
    text = hsrp.to_toml(hsrp_config(model))
    return _toml(text, Place("hacc_agent/hsrp/config.py", 0), model, groups)


def _api(model: DeviceModel) -> Output:
    """The API's configuration, likewise: its tables are the tokens."""
    assert model.api is not None  # Recipe.wanted
    api = model.api
    config = ApiConfig(
        address=model.router_id,
        port=api.port,
        certificate=api.certificate,
        key=api.key,
        tokens=tuple(Token(each.name, each.token.digest_token, each.scope) for each in api.tokens),
    )
    places = {"tokens": tuple(each.place for each in api.tokens)}
    return _toml(api_toml(config), Place("hacc_agent/api/config.py", 0), model, places)


def _toml(
    text: str, template: Place, model: DeviceModel, places: Mapping[str, tuple[Place, ...]]
) -> Output:
    seen: Counter[str] = Counter()
    origin: tuple[Place, ...] = (model.place,)
    lines = []
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
            if "." not in table:  # tables within a table come from the same part
                made_from = places.get(table, ())[seen[table] :]
                origin = made_from[:1] or (model.place,)
                seen[table] += 1
        lines.append(Line(line, template, origin))
    return Output(tuple(lines), ())


@functools.cache
def unverified_places() -> dict[Place, str]:
    """Which templates' lines take their form from the table of unverified ones."""
    call = re.compile(r'unverified\("([^"]+)"')
    return {
        Place(f"templates/{path.relative_to(TEMPLATES).as_posix()}", number): found[1]
        for path in sorted(TEMPLATES.rglob("*.j2"))
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := call.search(text))
    }


@functools.cache
def templates_sha256() -> str:
    """A digest of all that rendering depends on besides the model: a plan keeps it."""
    sha = hashlib.sha256()
    for path in sorted(TEMPLATES.rglob("*.j2")):
        text = path.read_bytes()
        sha.update(f"{path.relative_to(TEMPLATES).as_posix()} {len(text)}:".encode())
        sha.update(text)
    sha.update(repr(sorted(unverified.FORMS.items())).encode())
    return sha.hexdigest()

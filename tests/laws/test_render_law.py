"""Laws of rendering, for random intents of every topology and mix of platforms."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings

from hacc_agent import config
from lab.ios import Device, Session
from tasks.compile import compile_site
from tasks.diff import diff, merge, reveal
from tasks.intent import Site
from tasks.model import DeviceModel, Role
from tasks.render import environment, render
from tasks.rendered import SECRET, File, Owner, Platform, Rendered
from tasks.secrets import resolve
from tasks.sheet import sheet
from tests.strategies import intents

SLOW = settings(  # a site costs what six smaller things do
    max_examples=settings().max_examples // 6, suppress_health_check=[HealthCheck.too_slow]
)


def models(site: Site) -> list[DeviceModel]:
    return [device for cluster in compile_site(site) for device in cluster.devices]


def keys(file: File) -> dict[str, str]:
    """A clear value for each reference, of the length that its form wants."""
    return {
        found["ref"]: "sixteen-octets-!" if found["form"] else "secret12"
        for found in SECRET.finditer(file.text)
    }


IOS_SHORTEST_S = 3  # `lifetime` of `ip mobile home-agent` and `ip mobile host`: 3-65535


def shortest(model: DeviceModel) -> int:
    """The shortest lifetime that the router is to grant."""
    service = model.service
    assert service is not None
    realms = [realm.lifetime_s for realm in service.realms]
    return min([service.lifetime_s, *realms, *(node.lifetime_s for node in service.nodes)])


def loaded(model: DeviceModel, rendered: Rendered) -> tuple[Device, str]:
    """A simulated router that was given the text, and the text."""
    (file,) = rendered.files
    tracked = {track.interface for group in model.groups for track in group.tracks}
    interfaces = sorted({*model.known_interfaces, *tracked})
    router = Device.from_text(model.host, "".join(f"interface {name}\n" for name in interfaces))
    text = resolve(file.text, keys(file))
    assert router.merge(text, 0.0) == []
    return router, text


@SLOW
@given(intents())
def test_every_line_has_an_origin_and_none_is_none(site: Site) -> None:
    for model in models(site):
        for file in render(model).files:
            for line in file.lines:
                assert line.intent
                assert line.template.file
                assert not re.search(r"(?<!\S)None(?!\S)", line.text)
                assert "\n" not in line.text
                assert line.text == line.text.rstrip()


@SLOW
@given(intents())
def test_rendering_is_a_function(site: Site) -> None:
    first = [render(model) for model in models(site)]
    environment.cache_clear()
    assert [render(model) for model in models(site)] == first


@SLOW
@given(intents())
def test_the_simulator_takes_every_line_and_then_there_is_nothing_to_do(site: Site) -> None:
    for model in models(site):
        if model.platform is Platform.IOS and shortest(model) >= IOS_SHORTEST_S:
            rendered = render(model)
            (file,) = rendered.files
            router, _ = loaded(model, rendered)
            left = diff(fetched(router), file, Platform.IOS, keys(file))
            assert [(command.context, command.text) for command in left.commands] == []


@SLOW
@given(intents())
def test_what_is_ours_of_a_text_can_be_taken_away_again(site: Site) -> None:
    """A line that is written and not owned would stay for ever: merge nothing over it and see."""
    for model in models(site):
        for file in render(model).files:
            if file.owner is Owner.LINES:
                emptied = File(file.path, file.mode, file.owner, file.owns, ())
                left = merge(resolve(file.text, keys(file)), emptied, model.platform, {})
                kept = [line for line in left.splitlines() if not header(line)]
                assert kept == [], file.path


@settings(SLOW, max_examples=settings().max_examples // 3)
@given(intents(), intents())
def test_a_changed_intent_leaves_nothing_of_the_old_one(before: Site, after: Site) -> None:
    """As if the new one had come to a bare router.

    An interface that the inventory no longer puts on a LAN is somebody else's, with all that is on
    it: routers that lost one are left out here.
    """
    old = {model.host: model for model in models(before)}
    for new in models(after):
        first = old.get(new.host)
        if first is None or not {port.name for port in first.ports} <= set(new.known_interfaces):
            continue
        if new.platform is Platform.IOS and min(shortest(first), shortest(new)) >= IOS_SHORTEST_S:
            interfaces = {*first.known_interfaces, *new.known_interfaces}
            assert planned(interfaces, first, new) - planned(interfaces, new) == set()
        for one, two in zip(shared(first), shared(new), strict=True):
            left, bare = (
                resolve(merge(running, two, new.platform, keys(two)), keys(two))
                for running in (resolve(one.text, keys(one)), "")
            )
            assert statements(left) - statements(bare) == set()


def planned(interfaces: set[str], *changes: DeviceModel) -> set[tuple[str, ...]]:
    """What a bare router holds after plans for one model after the other."""
    text = "".join(f"interface {name}\n" for name in sorted(interfaces))
    router = Device.from_text(changes[-1].host, text)
    session = Session(router, user="admin", privilege=15)
    for model in changes:
        (file,) = render(model).files
        now = fetched(router)
        opened = {**keys(file), **reveal(now, Platform.IOS)}
        for command in diff(now, file, Platform.IOS, keys(file)).commands:
            session.feed("configure terminal", 0.0)
            for line in (*command.context, command.text):
                reply = session.feed(resolve(line, opened), 0.0)
                assert not router.journal[-1].refused, (line, reply.text)
            session.feed("end", 0.0)
    return statements(fetched(router))


def fetched(router: Device) -> str:
    """The running configuration, and the users that it does not show, with their keys hidden."""
    hidden = re.sub(
        r"auth sha \S+ priv aes 128 \S+", "auth sha * priv aes 128 *", router.private_config()
    )
    return router.running_config() + hidden


def shared(model: DeviceModel) -> list[File]:
    return [file for file in render(model).files if file.owner is Owner.LINES]


def statements(text: str) -> set[tuple[str, ...]]:
    """Lines under their section's; a section of others' with nothing in it says nothing."""
    found: set[tuple[str, ...]] = set()
    section = ""
    for line in text.splitlines():
        if line.startswith(" "):
            found.add((section, line.strip()))
        elif not header(line):
            found.add((line,))
        section = section if line.startswith(" ") else line
    return found


def header(line: str) -> bool:
    """Sections that are not ours, only lines in them: emptied, they may stand."""
    section = line.startswith(("interface ", "router ospf")) and "Loopback434" not in line
    return section or line in {"!", "", "exit"}


@SLOW
@given(intents())
def test_agents_can_read_what_is_rendered_for_them(site: Site) -> None:
    for model in models(site):
        for file in render(model).files:
            if file.path == "/etc/hacc/agent.toml":
                assert config.parse(file.text, file.path) == model.agent


@SLOW
@given(intents())
def test_the_active_controllers_alone_announce_the_virtual_address(site: Site) -> None:
    for cluster in compile_site(site):
        vha = re.escape(str(cluster.devices[0].home_agent_address))
        announcing = re.compile(rf" network {vha} |prefix-list \S+ seq \d+ permit {vha}/32")
        for model in cluster.devices:
            texts = [line.text for file in render(model).files for line in file.lines]
            announced = any(map(announcing.search, texts))
            assert announced == (model.role is Role.CONTROLLER)
            assert announced != model.holds_home_agent_address


@SLOW
@given(intents())
def test_a_sheet_names_every_key_and_shows_none(site: Site) -> None:
    for cluster in compile_site(site):
        text = sheet(cluster).files[0].text
        assert "<secret" not in text
        for model in cluster.devices:
            for realm in model.service.realms if model.service else ():
                assert realm.realm in text
                if realm.security is not None:
                    assert realm.security.key.ref in text
                else:
                    assert "the RADIUS server knows the keys" in text
                if realm.aaa is not None:
                    assert realm.aaa.ref in text

"""The live view as an intent asks for it: a file, a unit, and digests in the place of tokens."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from hacc_agent.api.config import ApiConfig, Scope, parse
from tasks.compile import compile_site
from tasks.errors import HaccError
from tasks.intent import load_site, secrets
from tasks.model import DeviceModel
from tasks.render import API_CONFIG, render
from tasks.secrets import SecretRef, redact, resolve
from tests.clusters import west

ROOT = Path(__file__).parents[2]
UNIT = "/etc/systemd/system/hacc-agent-api.service"
API = """controllers:
  api:
    port: 9443
    certificate: /etc/ssl/hacc/api.pem
    key: /etc/ssl/hacc/api.key
    tokens:
      - {name: prometheus, token: "env:API_PROMETHEUS"}
      - {name: night-shift, token: "env:API_NIGHT_SHIFT", scope: operate}
"""
OPENED = {"env:API_PROMETHEUS": "p" * 40, "env:API_NIGHT_SHIFT": "n" * 40}


def site(place: Path, api: str) -> Path:
    shutil.copytree(ROOT / "tests/golden/site", place, dirs_exist_ok=True)
    intent = place / "clusters/west.yaml"
    text = intent.read_text()
    assert text.count("\ncontrollers:\n") == 1
    intent.write_text(text.replace("\ncontrollers:\n", f"\n{api}"))
    return place


def device(place: Path, host: str) -> DeviceModel:
    (cluster,) = compile_site(load_site(site(place, API)))
    return cluster.device(host)


def told(model: DeviceModel) -> ApiConfig:
    (file,) = (each for each in render(model).present if each.path == API_CONFIG)
    assert file.mode == 0o600
    return parse(resolve(file.text, OPENED), "api.toml")


def test_each_controller_serves_it_at_its_router_id(tmp_path: Path) -> None:
    for host in ("hacc1", "hacc2"):
        model = device(tmp_path, host)
        config = told(model)
        assert (config.address, config.port) == (model.router_id, 9443)
        assert (config.certificate, config.key) == (
            "/etc/ssl/hacc/api.pem",
            "/etc/ssl/hacc/api.key",
        )
        assert [(each.name, each.scope) for each in config.tokens] == [
            ("prometheus", Scope.READ),
            ("night-shift", Scope.OPERATE),
        ]
        assert UNIT in {each.path for each in render(model).present}


def test_a_router_gets_the_digest_of_a_token_and_never_the_token(tmp_path: Path) -> None:
    model = device(tmp_path, "hacc1")
    (file,) = (each for each in render(model).present if each.path == API_CONFIG)
    opened = resolve(file.text, OPENED)
    for ref, clear in OPENED.items():
        assert clear not in opened
        assert sha256(clear.encode()).hexdigest() in opened
        assert SecretRef(ref).digest_token in file.text
    # Read from the router, it is compared, and shown, as what it was made from.
    assert redact(opened, OPENED) == file.text


def test_its_tokens_are_opened_with_the_other_secrets(tmp_path: Path) -> None:
    found = load_site(site(tmp_path, API))
    assert {SecretRef(ref) for ref in OPENED} <= set(secrets(found.clusters, ()))


def test_members_serve_none_and_nobody_does_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert device(tmp_path, "ha1").api is None
    for router in west().devices:
        assert not {API_CONFIG, UNIT} & {each.path for each in render(router).present}


def test_a_line_of_a_token_comes_from_the_intents(tmp_path: Path) -> None:
    model = device(tmp_path, "hacc1")
    (file,) = (each for each in render(model).present if each.path == API_CONFIG)
    intent = (tmp_path / "clusters/west.yaml").read_text().splitlines()
    (line,) = (each for each in file.lines if "night-shift" in each.text)
    assert "night-shift" in intent[line.intent[0].line - 1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (API.replace("/etc/ssl/hacc/api.key", "api.key"), "an absolute path on the router"),
        (API.replace("operate", "admin"), "read"),
        (API.replace('"env:API_PROMETHEUS"', "hunter2"), "env:NAME"),
    ],
    ids=["relative", "scope", "in-clear"],
)
def test_what_is_not_right_is_told_with_its_line(tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(HaccError) as caught:
        compile_site(load_site(site(tmp_path, wrong)))
    text = str(caught.value)
    assert "clusters/west.yaml:" in text
    assert said in text
    assert "hunter2" not in text

"""The one table of forms that nobody has seen in a router, and who uses it."""

from __future__ import annotations

import dataclasses

import pytest

from tasks.model import Algorithm
from tasks.render import render, unverified_places
from tasks.rendered import Rendered
from tasks.sheet import sheet
from tasks.unverified import FORMS, Unverified, form, unverified
from tests import clusters
from tests.clusters import controller, ios, with_service


def report(rendered: Rendered) -> tuple[Unverified, ...]:
    return unverified(rendered, unverified_places())


def test_every_form_is_used_by_a_template_and_every_use_is_a_form() -> None:
    assert set(unverified_places().values()) == set(FORMS)


def test_the_report_lists_lines_with_their_doubt() -> None:
    found = {one.line.text.strip(): one for one in report(render(ios()))}
    one = found["ip mobile home-agent redundancy west-ios-core virtual-network address 198.19.0.1"]
    assert one.form == "home-agent redundancy virtual"
    assert one.doubt == FORMS["home-agent redundancy virtual"].doubt
    assert render(ios()).files[0].lines[one.number - 1] == one.line
    assert str(one) == f"ios1 running-config:{one.number}: {one.line.text}\n  {one.doubt}"


@pytest.mark.parametrize(
    "seen",
    [
        "router mobile",
        "ip mobile virtual-network 198.19.64.0 255.255.192.0",
        "ip mobile host 198.19.96.7 virtual-network 198.19.64.0 255.255.192.0",
        "standby 20 ip 198.18.1.253",
    ],
)
def test_forms_that_were_seen_are_not_in_it(seen: str) -> None:
    assert seen in [line.text.strip() for line in render(ios()).files[0].lines]
    assert seen not in [one.line.text.strip() for one in report(render(ios()))]


def test_the_published_form_of_a_security_association_is_verified_and_others_are_not() -> None:
    node = clusters.service(ios()).nodes[0]
    assert node.security is not None
    assert node.security.algorithm is Algorithm.MD5_PREFIX_SUFFIX
    assert [one.form for one in report(render(ios()))].count("secure host") == 1
    security = dataclasses.replace(node.security, algorithm=Algorithm.HMAC_MD5)
    seen = with_service(ios(), nodes=(dataclasses.replace(node, security=security),))
    assert "secure host" not in [one.form for one in report(render(seen))]


def test_linux_has_none() -> None:
    assert report(render(controller())) == ()


def test_the_sheet_has_its_own() -> None:
    assert {one.form for one in report(sheet(clusters.west()))} >= {"sheet secure", "sheet roam"}


def test_a_form_takes_its_values() -> None:
    assert form("home-agent max-binding", limit=5) == "ip mobile home-agent max-binding 5"
    with pytest.raises(KeyError):
        form("no such form")

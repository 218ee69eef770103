"""The OpenAPI document is true: whoever builds on it gets what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth

from hacc_agent.api.contract import OPERATIONS, openapi
from tests.hacc_agent.api.served import OPERATOR, Served, configured, open_folder, serving
from tests.loopback import Loopback, cluster

EXAMPLES = 12  # of each operation

schema = schemathesis.openapi.from_dict(openapi())
finite = schema.exclude(operation_id="stream")  # whose answer has no end


@pytest.fixture(scope="module")
def west() -> Iterator[Loopback]:
    with open_folder() as folder, cluster(folder, "ha1", "hacc1", complete=True) as made:
        node = made.mobile_node()
        assert node.register().code == 0
        node.close()
        yield made


@pytest.fixture(scope="module")
def api(west: Loopback) -> Iterator[Served]:
    with open_folder() as folder:
        config = configured(folder, west["hacc1"].config.runtime_directory)
        with serving(folder, config) as made:
            yield made


@finite.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: Case[Any], api: Served) -> None:
    """What it says is allowed is taken, what it does not say is refused, both in its forms."""
    case.call_and_validate(
        base_url=api.url,
        headers={"authorization": f"Bearer {OPERATOR}"},
        verify=str(api.folder / "authority.pem"),
        timeout=20,
        # It would take our token out and we would put it in again: test_api.py asks as nobody.
        excluded_checks=[ignored_auth],
    )


def test_the_document_is_served_as_it_is(api: Served) -> None:
    assert api.get("/openapi.json", token="") == openapi()


def test_what_changes_something_needs_more_than_to_read() -> None:
    for operation in OPERATIONS:
        assert (operation.method == "POST") == (operation.needs == "operate")


def test_every_name_in_a_path_is_a_parameter() -> None:
    for operation in OPERATIONS:
        named = set(re.findall(r"{(\w+)}", operation.path))
        assert named == {each.name for each in operation.takes if each.place == "path"}

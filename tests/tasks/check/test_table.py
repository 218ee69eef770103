"""What an engineer reads: the worst first, router by router, waived apart, a line that sums up."""

from __future__ import annotations

import dataclasses
from io import StringIO

from rich.console import Console

from tasks.check import AREAS
from tasks.check.baseline import Compared, compare
from tasks.check.table import show, summary
from tasks.findings import Checked
from tests.tasks.check.conftest import BANNER, MISSING, OWNER

TOLD = """\
ha9
  critical reach.asked          no route
                                inventory/clusters/west.yaml:27
hacc1, hacc2
  critical state.one-owner      198.18.1.254: two owners
                                inventory/clusters/west.yaml:27
                                stop one of them
ios1
  major    config.missing       `standby 20 priority 200` is missing
                                inventory/clusters/west.yaml:27 <> running-config: interface \
GigabitEthernet0/1
                                hacc apply -c west, which types:
                                  interface GigabitEthernet0/1
                                   standby 20 priority 200
the site
  minor    waiver.expired       ended
                                inventory/w.yaml:2
worth knowing
  standard.clock: ios2: no NTP
waived
  ios2: standard.no-telnet: line vty 0 4 / transport input telnet: until 2027-03-31 by jane, \
the console server of <the east wing> (inventory/w.yaml:2)
without intent, left alone: sw1
west: 5 routers, 1 not reached, 2 critical, 1 major, 1 minor, 1 waived, 1 worth knowing in 1.5 s
"""


def shown(checked: Checked, compared: Compared | None = None) -> str:
    text = StringIO()
    show(Console(file=text, width=1000, highlight=False), checked, compared)
    return text.getvalue()


def test_it_is_read_from_the_worst_to_the_sum(checked: Checked) -> None:
    some = tuple(one for one in checked.findings if one != BANNER)
    assert shown(dataclasses.replace(checked, findings=some)) == TOLD


def test_a_router_says_no_escape_sequence_to_the_terminal(checked: Checked) -> None:
    """A banner with one could write what it likes over the findings."""
    text = shown(checked)
    assert "\\x1b" in text
    assert not {"\x1b", "\x00", "\x03"} & set(text)


def test_beside_a_baseline_what_is_new_is_marked_and_what_has_gone_is_named(
    checked: Checked,
) -> None:
    gone = dataclasses.replace(MISSING, host="ha1", subject="other")
    text = shown(checked, compare("monday", [OWNER, gone], checked, AREAS))
    assert "\n  new major    config.missing" in text
    assert "\n  critical state.one-owner" in text
    assert "\ngone: ha1: config.missing: other\n" in text
    assert text.splitlines()[-1] == "since monday: 4 new, 1 gone"


def test_nothing_found_is_said(checked: Checked) -> None:
    well = dataclasses.replace(checked, findings=(), failed=(), hosts=("ios1",))
    assert summary(well) == "west: 1 router, as intended in 1.5 s"

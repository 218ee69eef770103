"""IOS commands whose exact form nobody here has seen in a router or in Cisco's own words.

Each was put together from a list of command names, a neighbouring release or memory. They stand
here and nowhere else: a template takes such a line by its name, so that one edit mends it
everywhere and `hacc render --report-unverified` can list every line that a router may refuse.
A form that was seen leaves this table for the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import Place
from .rendered import Line, Rendered


@dataclass(frozen=True, slots=True)
class Form:
    """A form and what is not known about it."""

    text: str  # a str.format template
    doubt: str


FORMS: dict[str, Form] = {
    "home-agent address": Form(
        "ip mobile home-agent address {address}",
        "documented as an option of 'ip mobile home-agent'; a line of its own in older guides",
    ),
    "home-agent max-binding": Form(
        "ip mobile home-agent max-binding {limit}",
        "the command's name is listed for 12.4(15)XM, its argument is not",
    ),
    "home-agent redundancy virtual": Form(
        "ip mobile home-agent redundancy {name} virtual-network address {address}",
        "the order of 'virtual-network' and 'address'; 'mode active-standby' may follow",
    ),
    "home-agent redundancy physical": Form(
        "ip mobile home-agent redundancy {name}",
        "seen with 'standby' up to 12.1(2); 'redundancy' since 12.1(3)T as HSRP's guide says",
    ),
    "host pool": Form(
        "ip mobile host nai {realm} address pool local {pool} {link}{lifetime}",
        "seen with 'pool dhcp-proxy-client'; the local form and the place of 'lifetime'",
    ),
    "host realm": Form(
        "ip mobile host nai {realm} {link}{lifetime}",
        "whether a realm without a pool accepts the home addresses that its nodes bring",
    ),
    "host lifetime": Form(
        "ip mobile host {address} {link}{lifetime}",
        "the place of 'lifetime' after the home link",
    ),
    "secure realm": Form(
        "ip mobile secure host nai {realm} {association}",
        "seen with an address; that a realm stands for all its nodes",
    ),
    "secure host": Form(
        "ip mobile secure host {address} {association}",
        "seen with 'algorithm hmac-md5'; 'md5 mode prefix-suffix' and 'replay timestamp N'",
    ),
    "secure foreign-agent": Form(
        "ip mobile secure foreign-agent {address} {association}",
        "the command's name is listed; its options are those of 'secure host'",
    ),
    "secure home-agent": Form(
        "ip mobile secure home-agent {address} {association}",
        "the command's name is listed; its options are those of 'secure host'",
    ),
    "snmp host v2c": Form(
        "snmp-server host {manager} version 2c {community} hsrp ipmobile",
        "in which order and with how many spaces the router shows the kinds of traps",
    ),
    "snmp host v3": Form(
        "snmp-server host {manager} version 3 priv {user} hsrp ipmobile",
        "in which order and with how many spaces the router shows the kinds of traps",
    ),
    "sheet care-of": Form(
        "ip mobile foreign-agent care-of INTERFACE",
        "the command's name is listed; its options are not",
    ),
    "sheet foreign-service": Form(
        " ip mobile foreign-service",
        "the command's name is listed; its options are not",
    ),
    "sheet roam": Form(
        " ip mobile router-service roam",
        "the command's name is listed; its options are not",
    ),
    "sheet secure": Form(
        "ip mobile secure home-agent {address} {spi_and_key}",
        "the command's name is listed; its options are those of 'secure host'",
    ),
    "sheet home-agent": Form(
        " home-agent {address}",
        "seen inside 'ip mobile router'; whether a priority must follow",
    ),
}


@dataclass(frozen=True, slots=True)
class Unverified:
    """One rendered line in a form of the table."""

    host: str
    file: str
    number: int  # the line in the rendered file, from 1
    line: Line
    form: str
    doubt: str

    def __str__(self) -> str:
        return f"{self.host} {self.file}:{self.number}: {self.line.text.strip()}\n  {self.doubt}"


def form(name: str, /, **values: object) -> str:
    """A line in the form `name`; templates call this as `unverified(...)`."""
    return FORMS[name].text.format_map(values)


def unverified(rendered: Rendered, forms: Mapping[Place, str]) -> tuple[Unverified, ...]:
    """The lines of `rendered` made by a template's line that takes its form from the table.

    `forms` tells which lines those are (`render.unverified_places`).
    """
    return tuple(
        Unverified(rendered.host, file.path, number, line, name, FORMS[name].doubt)
        for file in rendered.files
        for number, line in enumerate(file.lines, 1)
        if (name := forms.get(line.template))
    )

"""The values of an intent: numbers within bounds, addresses, names, references to secrets.

Each refuses in the words that `intent` tells people: what is allowed, and what was probably meant.
Pydantic's own types take more than they should (the number 7 as an address, "12" as a number).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .secrets import SCHEMES, SecretRef
from .windows import FORM, Window
from .windows import parse as parse_window


def refuse(allowed: str, hint: str = "", message: str = "") -> PydanticCustomError:
    """An error that `intent` turns into a Problem. Without a message, the value found is shown."""
    return PydanticCustomError("hacc", "{message}", {
        "message": message, "allowed": allowed, "hint": hint,
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included. `whole` wants an integer; truth is no number."""

    low: float
    high: float
    whole: bool = True
    below: str = ""  # what to say of a number that is too small

    def check(self, value: object) -> int | float:
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise refuse(str(self), _number_hint(value))
        if not self.low <= value <= self.high:
            raise refuse(str(self), self.below if value < self.low else "")
        return value if self.whole else float(value)

    def __str__(self) -> str:
        return f"{'a whole number, ' if self.whole else ''}{self.low:g}-{_plain(self.high)}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.low, "maximum": self.high}


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _number_hint(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?|0x[0-9a-fA-F]+", value):
        return "write the number without quotes"
    return ""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A text of a certain form."""

    form: re.Pattern[str]
    allowed: str

    def check(self, value: object) -> str:
        if not isinstance(value, str) or not self.form.fullmatch(value):
            raise refuse(self.allowed)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{self.form.pattern})$"}


def _address(value: object) -> IPv4Address:
    try:
        return IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        raise refuse("an IPv4 address: 192.0.2.1") from None


def _prefix(value: object) -> IPv4Network:
    if isinstance(value, str) and "/" in value:
        try:
            return IPv4Network(value)
        except ValueError as error:
            if "has host bits set" in str(error):
                right = IPv4Network(value, strict=False)
                raise refuse(
                    "a prefix without host bits",
                    f"did you mean {right}?",
                    f"{value!r} has host bits set",
                ) from None
    raise refuse("an IPv4 prefix: 192.0.2.0/24") from None


def _secret(value: object) -> SecretRef:
    # What is not a reference may be the secret itself: it is never repeated.
    if (ref := SecretRef.parse(value)) is None:
        raise refuse(
            SCHEMES,
            'a secret never stands in an intent: write "env:NAME", and export NAME',
            "not a reference to a secret",
        )
    return ref


def _spi(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{1,8}", value):
        raise refuse(str(_SPI), f"a hexadecimal SPI, as IOS shows it, is written 0x{value}")
    return int(_SPI.check(value))


def _area(value: object) -> str:
    if type(value) is int and 0 <= value < 2**32:
        return str(value)
    try:
        return str(IPv4Address(value if isinstance(value, str) else ""))
    except ValueError:
        raise refuse("an OSPF area: 0, or dotted: 0.0.0.1") from None


def _snmp_version(value: object) -> int:
    if value in ("2c", 2, "2"):
        return 2
    if value in (3, "3"):
        return 3
    raise refuse("2c or 3")


def _window(value: object) -> Window:
    try:
        return parse_window(value if isinstance(value, str) else "")
    except ValueError as error:
        raise refuse(FORM, "", f"{value!r} {error}") from None


def one_of(*values: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        if value not in values:
            raise refuse(" or ".join(values))
        return value

    return check


_SPI = Between(
    256, 2**32 - 1, below="0-255 are reserved (RFC 5944 section 3.5.1): pick 256 (0x100) or above"
)
_NAME = Shaped(
    re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,23}"),
    "a letter, then letters, digits, `-` and `_`, at most 24",
)
_REALM = Shaped(
    re.compile(r"@[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"),
    'an NAI realm, quoted (RFC 2794): "@example.net"',
)
_USER = Shaped(re.compile(r"[A-Za-z0-9_-]{1,32}"), "1 to 32 letters, digits, `-` and `_`")
_FOLDER = Shaped(
    re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*"),
    "a folder below the inventory: pki/west",
)
_FILE = Shaped(
    re.compile(r"(/[A-Za-z0-9_.-]+)+"), "an absolute path on the router: /etc/ssl/hacc/api.pem"
)
_WORD = Shaped(re.compile(r"[^\s<>|]{1,63}"), "a name without blanks")

Address = Annotated[
    IPv4Address, PlainValidator(_address), WithJsonSchema({"type": "string", "format": "ipv4"})
]
Prefix = Annotated[
    IPv4Network,
    PlainValidator(_prefix),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\.\d+\.\d+\.\d+/\d+$"}),
]
Secret = Annotated[
    SecretRef,
    PlainValidator(_secret),
    WithJsonSchema({"type": "string", "pattern": "^(env|file|vault|sops|keyring):", "description":
                    f"A reference, never the secret itself: {SCHEMES}."}),
]  # fmt: skip
Spi = Annotated[
    int,
    PlainValidator(_spi),
    WithJsonSchema({"type": "integer", "minimum": 256, "maximum": 2**32 - 1}),
]
Area = Annotated[str, PlainValidator(_area), WithJsonSchema({"type": ["integer", "string"]})]
MaintenanceWindow = Annotated[
    Window,
    PlainValidator(_window),
    WithJsonSchema({"type": "string", "pattern": r"^[a-z,-]+ +\d\d:\d\d-\d\d:\d\d +\S+$",
                    "description": f"When its routers may be changed: {FORM}."}),
]  # fmt: skip
SnmpVersion = Annotated[int, PlainValidator(_snmp_version), WithJsonSchema({"enum": ["2c", 2, 3]})]
Name = Annotated[str, _NAME]
RealmName = Annotated[str, _REALM]
UserName = Annotated[str, _USER]
FolderName = Annotated[str, _FOLDER]
FileName = Annotated[str, _FILE]
HostName = Annotated[str, _WORD]
InterfaceName = Annotated[str, _WORD]
Millis = Annotated[int, Between(1, 255_000)]
Lifetime = Annotated[int, Between(1, 65535)]  # seconds; 16 bits on the wire, 65535 is for ever
Bindings = Annotated[int, Between(1, 10_000_000)]
Rate = Annotated[int, Between(1, 10_000_000)]  # each second
Port = Annotated[int, Between(1, 65535)]  # of UDP or TCP
Weight = Annotated[int, Between(1, 1000)]
Share = Annotated[float, Between(0, 1, whole=False)]
Percent = Annotated[float, Between(0, 100, whole=False)]
Factor = Annotated[float, Between(0, 1000, whole=False)]

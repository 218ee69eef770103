"""The terminal line: carets, abbreviations, paging, filters, keys, questions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.ios import Console, Device, Session
from lab.ios.passwords import decode7, encode7, type5
from lab.ios.terminal import Terminal


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("show xx", "       ^\n% Invalid input detected at '^' marker.\n\n"),
        ("  show xx", "         ^\n% Invalid input detected at '^' marker.\n\n"),
        ("show running-config xx", "                      ^\n% Invalid"),
        ("configure", "% Incomplete command.\n\n"),
        ("con", "% Incomplete command.\n\n"),
        ("co", '% Ambiguous command:  "co"\n'),
        ("sh ip in b", "Interface "),
        ("copy flash:none running-config", "%Error opening flash:none (No such file or directory)"),
    ],
)
def test_enable_mode_says_what_is_wrong_and_where(
    typed: str, said: str, console: Callable[[str], Console]
) -> None:
    router = console("hostname r\nfile prompt quiet\n")
    assert router.prompt == "r#"
    assert router(typed).startswith(said)


@pytest.mark.parametrize(
    ("typed", "column"),
    [
        ("standby 1 priority 300", 19),
        (" ip address 10.0.0.300 255.0.0.0", 12),
        ("no standby 1 nonsense", 13),
        ("router ospf x", 12),
        ("do show xx", 8),
    ],
)
def test_the_caret_stands_under_the_word_that_is_wrong(
    typed: str, column: int, console: Callable[[str], Console]
) -> None:
    router = console("hostname r")
    router("configure terminal", "interface lo1")
    said = router(typed).splitlines()
    assert said[0] == " " * (len("r(config-if)#") + column) + "^"
    assert said[1] == "% Invalid input detected at '^' marker."


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("show run | include standby", [" standby 1 ip 10.0.0.254", " standby 1 priority 120"]),
        (
            "show run | section Loop",
            ["interface Loopback1", " ip address 10.1.1.1 255.255.255.255"],
        ),
        ("show run | begin ^end", ["end"]),
        ("show run | count standby", ["Number of lines which match regexp = 2"]),
        ("show run | i a[", []),
    ],
)
def test_output_is_filtered(
    command: str, kept: list[str], console: Callable[[str], Console]
) -> None:
    router = console(
        "interface Loopback1\n ip address 10.1.1.1 255.255.255.255\ninterface Gi0/1\n"
        " ip address 10.0.0.1 255.255.255.0\n standby 1 ip 10.0.0.254\n standby 1 priority 120\n"
    )
    assert router(command).splitlines() == kept
    assert "standby" not in router("show run | exclude standby")


def test_long_output_waits_for_a_key(base: str) -> None:
    session = Session(Device.from_text("r", base), privilege=15)
    first = session.feed("show running-config", 0.0)
    assert (first.prompt, first.key, first.text.count("\n")) == (" --More-- ", True, 23)
    line = session.feed("", 0.0)
    assert line.text.count("\n") == 1
    page = session.feed(" ", 0.0)
    assert page.text.count("\n") == 23
    done = session.feed("q", 0.0)
    assert (done.text, done.prompt) == ("", session.prompt)
    session.feed("terminal length 0", 0.0)
    assert session.feed("show running-config", 0.0).text.endswith("end\n")


def test_enable_takes_the_secret_three_times() -> None:
    device = Device("r", enable="right")
    session = Session(device, privilege=1)
    assert session.prompt == "Router>"
    assert "% Invalid input" in session.feed("configure terminal", 0.0).text
    reply = session.feed("enable", 0.0)
    assert (reply.prompt, reply.echo) == ("Password: ", False)
    session.feed("wrong", 0.0)
    session.feed("wrong", 0.0)
    assert session.feed("wrong", 0.0).text == "% Bad secrets\n"
    session.feed("enable", 0.0)
    assert session.feed("right", 0.0).prompt == "Router#"
    assert all("right" not in entry.line for entry in device.journal)


def test_a_secret_of_the_configuration_opens_enable_mode_in_both_forms() -> None:
    device = Device.from_text("r", "enable secret sesame\nusername u privilege 15 secret pass\n")
    assert "sesame" not in device.running_config()
    assert device.enable_matches("sesame")
    assert device.login("u", "pass") == 15
    assert device.login("u", "word") is None
    again = Device.from_text("r", device.running_config())
    assert again.enable_matches("sesame")
    assert again.login("u", "pass") == 15


@pytest.mark.parametrize(
    "line",
    ["password 0 two words", "password two words", "password 7 {seven}", "secret two words"],
)
def test_every_form_of_a_password_lets_its_user_in(line: str) -> None:
    text = f"username u {line.format(seven=encode7('two words'))}\n"
    device = Device.from_text("r", text)
    assert device.login("u", "two words") == 1
    assert device.login("u", "words") is None
    device.merge("service password-encryption", 0.0)
    assert "two words" not in device.running_config()
    assert device.login("u", "two words") == 1


def test_type_5_is_md5_crypt_as_everybody_computes_it() -> None:
    assert type5("cisco", "mERr") == "$1$mERr$hx5rVt7rPNoS4wqbXKX7m0"  # a published hash
    assert decode7("0822455D0A16") == "cisco"  # and a published type 7 string


def bytes_of(terminal: Terminal, *typed: bytes) -> bytes:
    return b"".join(one.data for data in typed for one in terminal.receive(data, 0.0))


def terminal(text: str = "hostname r") -> Terminal:
    made = Terminal(Session(Device.from_text("r", text), privilege=15))
    made.start()
    return made


def test_a_block_is_echoed_line_by_line_after_its_prompts() -> None:
    assert bytes_of(terminal(), b"conf t\ninterface lo1\nbad\nend\n") == (
        b"conf t\r\nEnter configuration commands, one per line.  End with CNTL/Z.\r\n"
        b"r(config)#interface lo1\r\n"
        b"r(config-if)#bad\r\n             ^\r\n% Invalid input detected at '^' marker.\r\n\r\n"
        b"r(config-if)#end\r\nr#"
    )


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_end_of_line_ends_one_line(end: bytes) -> None:
    assert bytes_of(terminal(), b"terminal length 0" + end + b"show privilege" + end) == (
        b"terminal length 0\r\nr#show privilege\r\nCurrent privilege level is 15\r\nr#"
    )


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (b"shox\x7fw privilege\n", b"shox\b \bw privilege\r\nCurrent privilege level is 15\r\nr#"),
        (b"junk\x15\n", b"junk" + b"\b \b" * 4 + b"\r\nr#"),
        (b"junk\x03", b"junk^C\r\nr#"),
        (
            b"conf t\nint lo1\n\x1a",
            b"conf t\r\nEnter configuration commands, one per line.  End "
            b"with CNTL/Z.\r\nr(config)#int lo1\r\nr(config-if)#^Z\r\nr#",
        ),
        (
            b"show priv?\nx\x15",
            b"show priv?\r\n  privilege\r\n\r\nr#show priv"
            b"\r\nCurrent privilege level is 15\r\nr#x\b \b",
        ),
    ],
)
def test_editing_keys(keys: bytes, shown: bytes) -> None:
    assert bytes_of(terminal(), keys) == shown


def test_confirm_takes_one_key_and_a_paste_goes_on_behind_it() -> None:
    made = terminal("hostname r\nusername old password 0 x\n")
    shown = bytes_of(made, b"conf t\nno username old\ny", b"hostname new\nend\n")
    assert shown.endswith(b"[confirm]\r\nr(config)#hostname new\r\nnew(config)#end\r\nnew#")


def test_a_line_wider_than_the_terminal_scrolls() -> None:
    made = terminal()
    line = b"terminal history size " + b"x" * 100
    assert line not in bytes_of(made, line + b"\n")
    bytes_of(made, b"terminal width 511\n")
    assert line in bytes_of(made, line + b"\n")


def test_the_banner_greets() -> None:
    device = Device.from_text("r", "hostname r\nbanner motd ^C\nKeep out^C\n")
    shown = b"".join(one.data for one in Terminal(Session(device, privilege=15)).start())
    assert shown == b"\r\nKeep out\r\nr#"

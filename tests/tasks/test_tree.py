"""Reading configuration texts: indentation, furniture, blocks, repetition, line numbers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tasks.platforms import frr, ios
from tasks.tree import Node, parse


def outline(nodes: list[Node]) -> list[object]:
    return [(node.text, outline(node.children)) if node.children else node.text for node in nodes]


def read(text: str) -> list[Node]:
    return parse(text.splitlines(), ios.TABLE.grammar)


def test_indentation_makes_sections() -> None:
    nodes = read(
        "interface Gi0/1\n ip address 10.0.0.1 255.0.0.0\nkey chain K\n key 1\n  key-string x"
    )
    assert outline(nodes) == [
        ("interface Gi0/1", ["ip address 10.0.0.1 255.0.0.0"]),
        ("key chain K", [("key 1", ["key-string x"])]),
    ]


def test_furniture_is_no_line_but_keeps_its_number() -> None:
    nodes = read("Building configuration...\n!\nhostname r1\n!\nend\n")
    assert [(node.text, node.number) for node in nodes] == [("hostname r1", 3)]


def test_banner_is_one_line_whatever_stands_in_it() -> None:
    nodes = read("banner motd ^C\n interface Gi0/1\n  shutdown\n^C\nhostname r1\n")
    assert nodes[0].text == "banner motd ^C\n interface Gi0/1\n  shutdown\n^C"
    assert (nodes[0].number, nodes[0].last) == (1, 4)
    assert nodes[1].text == "hostname r1"


def test_banner_on_one_line() -> None:
    assert outline(read("banner login #hello#\nhostname r1\n")) == [
        "banner login #hello#",
        "hostname r1",
    ]


def test_unclosed_banner_does_not_swallow_the_router() -> None:
    assert outline(read("banner motd ^C\nhostname r1\n")) == ["banner motd ^C", "hostname r1"]


def test_repeated_lines_are_kept() -> None:
    remark = "access-list 168 remark ####"
    assert len(read(f"{remark}\naccess-list 168 permit ip any any\n{remark}\n")) == 3


def test_section_knows_its_last_line() -> None:
    nodes = read(
        "router bgp 1\n address-family ipv4\n  network 10.0.0.0\n exit-address-family\n!\nend"
    )
    assert nodes[0].last == 3
    assert nodes[0].children[0].last == 3


def test_exit_belongs_to_the_section_that_it_closes() -> None:
    text = "interface lan\n ip ospf area 0\nexit\n!\nrouter ospf\nexit\nip route 10.0.0.0/8 Null0\n"
    nodes = parse(text.splitlines(), frr.TABLE.grammar)
    assert [(node.text, node.number, node.last) for node in nodes] == [
        ("interface lan", 1, 3),
        ("router ospf", 5, 6),
        ("ip route 10.0.0.0/8 Null0", 7, 7),
    ]


def test_published_configurations_are_read_whole(reference: Path) -> None:
    for file in sorted((reference / "ios-configs").glob("*.txt")):
        text = file.read_text()
        said = [line.strip() for line in text.splitlines() if line.strip()]
        said = [line for line in said if not line.startswith("!")]
        assert [node.text for top in read(text) for node in top.walk()] == said, file.name


LINES = st.lists(
    st.builds(
        lambda indent, text: " " * indent + text,
        st.integers(0, 4),
        st.sampled_from(("a", "b c", "!", "exit", "banner motd ^C", "^C", "end", "", "x ^C y")),
    ),
    max_size=30,
)


@given(lines=LINES)
def test_every_text_is_read(lines: list[str]) -> None:
    """Nothing raises, no line counts twice, contents lie within their section."""
    top = parse(lines, ios.TABLE.grammar)
    nodes = [node for each in top for node in each.walk()]
    numbers = [node.number for node in nodes]
    assert numbers == sorted(set(numbers))
    for node in nodes:
        assert node.last >= max((child.last for child in node.children), default=node.number)
        assert lines[node.number - 1].strip() == node.text.split("\n")[0]

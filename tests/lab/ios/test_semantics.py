"""The semantics that bite, a case each: what is there, is typed, is said, and is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab.ios import Console, withdrawals

GIG = "interface GigabitEthernet0/1\n ip address 10.0.0.1 255.255.255.0\n"
HA = (
    "router mobile\nip local pool P 10.9.0.1 10.9.0.99\n"
    "ip mobile virtual-network 10.9.0.0 255.255.0.0\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A case: `left` and `gone` are lines that the running configuration has, and has not."""

    name: str
    before: str
    typed: tuple[str, ...]
    said: str = ""
    left: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


CASES = [
    Case(
        "moving an interface into a VRF takes its addresses and standby groups away",
        f"vrf definition RED\n!\n{GIG} standby 1 ip 10.0.0.254\n",
        ("interface gi0/1", "vrf forwarding RED"),
        "% Interface GigabitEthernet0/1 IPv4 disabled and address(es) removed due to enabling "
        "VRF RED\n",
        (" vrf forwarding RED", " no ip address"),
        (" ip address 10.0.0.1 255.255.255.0", " standby 1 ip 10.0.0.254"),
    ),
    Case(
        "a VRF that the interface is in already takes nothing away",
        "vrf definition RED\n!\ninterface Gi0/1\n vrf forwarding RED\n"
        " ip address 10.0.0.1 255.255.255.0\n",
        ("interface gi0/1", "vrf forwarding RED"),
        "",
        (" ip address 10.0.0.1 255.255.255.0",),
    ),
    Case(
        "and so does moving it out",
        "vrf definition RED\n!\ninterface Gi0/1\n vrf forwarding RED\n"
        " ip address 10.0.0.1 255.255.255.0\n",
        ("interface gi0/1", "no vrf forwarding"),
        "due to disabling VRF RED\n",
        (" no ip address",),
        (" vrf forwarding RED",),
    ),
    Case(
        "a VRF must be there",
        GIG,
        ("interface gi0/1", "vrf forwarding BLUE"),
        "% VRF BLUE does not exist",
        (" ip address 10.0.0.1 255.255.255.0",),
    ),
    Case(
        "removing a VRF empties its interfaces",
        "vrf definition RED\n!\ninterface Gi0/1\n vrf forwarding RED\n"
        " ip address 10.0.0.1 255.255.255.0\n",
        ("no vrf definition RED",),
        "% IPv4 addresses from all interfaces in VRF RED have been removed\n",
        (" no ip address",),
        ("vrf definition RED",),
    ),
    Case(
        "a physical interface cannot be removed",
        GIG,
        ("no interface Gi0/1",),
        "% Removal of physical interfaces is not permitted\n",
        ("interface GigabitEthernet0/1",),
    ),
    Case(
        "a loopback can",
        "interface Loopback5\n",
        ("no int lo5",),
        "",
        gone=("interface Loopback5",),
    ),
    Case(
        "an interface that the hardware has not cannot be made",
        GIG,
        ("interface gi7/7",),
        "%Invalid interface type and number\n",
        gone=("interface GigabitEthernet7/7",),
    ),
    Case(
        "a subinterface of one that is there can",
        GIG,
        ("interface gi0/1.7", "encapsulation dot1Q 7"),
        left=("interface GigabitEthernet0/1.7", " encapsulation dot1Q 7"),
    ),
    Case(
        "the primary address goes last",
        f"{GIG} ip address 10.0.1.1 255.255.255.0 secondary\n",
        ("interface gi0/1", "no ip address 10.0.0.1 255.255.255.0"),
        "Must delete secondary before primary\n",
        (" ip address 10.0.0.1 255.255.255.0",),
    ),
    Case(
        "`no ip address` alone takes all of them",
        f"{GIG} ip address 10.0.1.1 255.255.255.0 secondary\n",
        ("interface gi0/1", "no ip address"),
        "",
        (" no ip address",),
        (" ip address 10.0.1.1 255.255.255.0 secondary",),
    ),
    Case(
        "the primary address is overwritten in place, and the secondary one stays",
        f"{GIG} ip address 10.0.1.1 255.255.255.0 secondary\n",
        ("interface gi0/1", "ip address 10.0.0.9 255.255.255.0"),
        "",
        (" ip address 10.0.0.9 255.255.255.0", " ip address 10.0.1.1 255.255.255.0 secondary"),
        (" ip address 10.0.0.1 255.255.255.0",),
    ),
    Case(
        "an address that overlaps with another interface is refused",
        f"{GIG}interface Gi0/2\n no ip address\n",
        ("interface gi0/2", "ip address 10.0.0.77 255.255.255.128"),
        "% 10.0.0.0 overlaps with GigabitEthernet0/1\n",
        gone=(" ip address 10.0.0.77 255.255.255.128",),
    ),
    Case(
        "but not in another VRF",
        f"vrf definition RED\n!\n{GIG}interface Gi0/2\n vrf forwarding RED\n",
        ("interface gi0/2", "ip address 10.0.0.77 255.255.255.128"),
        "",
        (" ip address 10.0.0.77 255.255.255.128",),
    ),
    Case(
        "a network address is no host",
        GIG,
        ("interface gi0/1", "ip address 10.0.0.0 255.255.255.0"),
        "Bad mask /24 for address 10.0.0.0\n",
        (" ip address 10.0.0.1 255.255.255.0",),
    ),
    Case(
        "a virtual address outside the subnet is warned of, and taken",
        GIG,
        ("interface gi0/1", "standby 1 ip 192.0.2.1"),
        "% Warning: address is not within a subnet on this interface\n",
        (" standby 1 ip 192.0.2.1",),
    ),
    Case(
        "a virtual address is not the interface's own",
        GIG,
        ("interface gi0/1", "standby 1 ip 10.0.0.1"),
        "% address cannot equal interface IP address\n",
        gone=(" standby 1 ip 10.0.0.1",),
    ),
    Case(
        "HSRP version 1 has 256 groups",
        GIG,
        ("interface gi0/1", "standby 256 ip 10.0.0.254"),
        "% Group number out of range",
        gone=(" standby 256 ip 10.0.0.254",),
    ),
    Case(
        "version 2 has 4096",
        GIG,
        ("interface gi0/1", "standby version 2", "standby 256 ip 10.0.0.254"),
        left=(" standby 256 ip 10.0.0.254",),
    ),
    Case(
        "and there is no way back while one above 255 is there",
        f"{GIG} standby version 2\n standby 256 ip 10.0.0.254\n",
        ("interface gi0/1", "no standby version"),
        "above 255",
        (" standby version 2",),
    ),
    Case(
        "`no standby 1` removes the group and no other",
        f"{GIG} standby 1 ip 10.0.0.254\n standby 1 priority 120\n standby 11 ip 10.0.0.253\n",
        ("interface gi0/1", "no standby 1"),
        left=(" standby 11 ip 10.0.0.253",),
        gone=(" standby 1 ip 10.0.0.254", " standby 1 priority 120"),
    ),
    Case(
        "group 0 need not be named",
        GIG,
        ("interface gi0/1", "standby ip 10.0.0.254", "standby priority 120"),
        left=(" standby 0 ip 10.0.0.254", " standby 0 priority 120"),
    ),
    Case(
        "`no` needs no value",
        f"{GIG} standby 1 ip 10.0.0.254\n standby 1 priority 120\n",
        ("interface gi0/1", "no standby 1 priority"),
        left=(" standby 1 ip 10.0.0.254",),
        gone=(" standby 1 priority 120",),
    ),
    Case(
        "`no standby 1 preempt delay` leaves preemption",
        f"{GIG} standby 1 preempt delay minimum 60 reload 90\n",
        ("interface gi0/1", "no standby 1 preempt delay minimum"),
        "% Incomplete command.\n\n",
        (" standby 1 preempt delay minimum 60 reload 90",),
    ),
    Case(
        "delays of preemption add up",
        f"{GIG} standby 1 preempt delay minimum 60\n",
        ("interface gi0/1", "standby 1 preempt delay reload 90", "standby 1 preempt"),
        left=(" standby 1 preempt delay minimum 60 reload 90",),
    ),
    Case(
        "and go one by one",
        f"{GIG} standby 1 preempt delay minimum 60 reload 90\n",
        ("interface gi0/1", "no standby 1 preempt delay minimum 60"),
        left=(" standby 1 preempt delay reload 90",),
    ),
    Case(
        "and without a name all of the delay",
        f"{GIG} standby 1 preempt delay minimum 60 reload 90\n",
        ("interface gi0/1", "no standby 1 preempt delay"),
        "",
        (" standby 1 preempt",),
    ),
    Case(
        "default values are not shown",
        GIG,
        (
            "interface gi0/1",
            "standby 1 priority 100",
            "standby 1 timers 3 10",
            "standby 1 authentication cisco",
            "standby version 1",
        ),
        gone=(
            " standby 1 priority 100",
            " standby 1 timers 3 10",
            " standby 1 authentication cisco",
            " standby version 1",
        ),
    ),
    Case(
        "a text key is shown without the word",
        GIG,
        ("interface gi0/1", "standby 1 authentication text sesame"),
        left=(" standby 1 authentication sesame",),
    ),
    Case(
        "access list entries have numbers, and one goes between",
        "ip access-list extended X\n permit ip any any\n permit udp any any\n",
        ("ip access-list ext X", "15 deny tcp any any"),
        left=(" permit ip any any\n deny tcp any any\n permit udp any any",),
    ),
    Case(
        "a number that is taken is refused",
        "ip access-list extended X\n permit ip any any\n",
        ("ip access-list ext X", "10 deny tcp any any"),
        "% Duplicate sequence number\n",
        (" permit ip any any",),
    ),
    Case(
        "`no access-list 10 permit ...` removes the whole list",
        "access-list 10 permit 10.0.0.1\naccess-list 10 permit 10.0.0.2\n",
        ("no access-list 10 permit 10.0.0.1",),
        gone=("access-list 10 permit 10.0.0.2",),
    ),
    Case(
        "a list in use can be deleted, and the reference stays",
        f"{GIG} ip access-group X in\nip access-list extended X\n permit ip any any\n",
        ("no ip access-list extended X",),
        left=(" ip access-group X in",),
        gone=("ip access-list extended X",),
    ),
    Case(
        "a wildcard cuts its address, and 0.0.0.0 is no wildcard",
        "",
        ("access-list 10 permit 10.1.2.3 0.0.0.255", "access-list 10 permit 10.9.9.9 0.0.0.0"),
        left=("access-list 10 permit 10.1.2.0 0.0.0.255", "access-list 10 permit 10.9.9.9"),
    ),
    Case(
        "an entry is checked, and where it goes wrong is said",
        "",
        ("access-list 10 permit 10.0.0.300",),
        "^\n% Invalid input detected",
        gone=("access-list 10 permit 10.0.0.300",),
    ),
    Case(
        "an extended entry needs a destination",
        "",
        ("access-list 110 permit ip any",),
        "% Incomplete command.",
        gone=("access-list 110 permit ip any",),
    ),
    Case(
        "a new router-id waits for a clear",
        "router ospf 1\n router-id 1.1.1.1\n",
        ("router ospf 1", "router-id 2.2.2.2"),
        '% OSPF: Reload or use "clear ip ospf process"',
        (" router-id 2.2.2.2",),
    ),
    Case(
        "`ip mobile` needs `router mobile`",
        "",
        ("ip mobile home-agent",),
        '% Mobile IP is not enabled. Configure "router mobile" first\n',
        gone=("ip mobile home-agent",),
    ),
    Case(
        "and goes with it",
        f"{HA}ip mobile home-agent\n",
        ("no router mobile",),
        left=("ip local pool P 10.9.0.1 10.9.0.99",),
        gone=("ip mobile home-agent", "ip mobile virtual-network 10.9.0.0 255.255.0.0"),
    ),
    Case(
        "a pool that a host draws from stays",
        f"{HA}ip mobile host nai @x address pool local P virtual-network 10.9.0.0 255.255.0.0\n",
        ("no ip local pool P",),
        "% Pool P is in use",
        ("ip local pool P 10.9.0.1 10.9.0.99",),
    ),
    Case(
        "and so does a virtual network with a host",
        f"{HA}ip mobile host 10.9.0.5 virtual-network 10.9.0.0 255.255.0.0\n",
        ("no ip mobile virtual-network 10.9.0.0 255.255.0.0",),
        "is in use",
        ("ip mobile virtual-network 10.9.0.0 255.255.0.0",),
    ),
    Case(
        "the old form of redundancy is shown as the new",
        "router mobile\n",
        ("ip mobile home-agent standby G1",),
        left=("ip mobile home-agent redundancy G1",),
    ),
    Case(
        "an SPI is hexadecimal, and 0-FF are reserved",
        "router mobile\n",
        ("ip mobile secure host 10.0.0.1 spi ff key hex 00",),
        "% Invalid input",
        gone=("ip mobile secure host 10.0.0.1 spi FF key hex 00",),
    ),
    Case(
        "SNMP users are not part of what is shown",
        "",
        ("snmp-server user u g v3 auth sha aaaabbbb priv aes 128 ccccdddd",),
        gone=("snmp-server user u g v3 auth sha aaaabbbb priv aes 128 ccccdddd",),
    ),
    Case(
        "communities are read-only in capitals",
        "",
        ("snmp-server community c ro",),
        left=("snmp-server community c RO",),
    ),
    Case(
        "encryption encrypts what is there, for good",
        f"{GIG} standby 1 authentication md5 key-string sesame\n",
        ("service password-encryption", "no service password-encryption"),
        left=(" standby 1 authentication md5 key-string 7 ",),
        gone=("key-string sesame",),
    ),
    Case(
        "a line that another mode knows ends this one",
        GIG,
        ("interface gi0/1", "router ospf 1", "network 10.0.0.0 0.0.0.255 area 0"),
        left=("router ospf 1\n network 10.0.0.0 0.0.0.255 area 0",),
    ),
    Case(
        "next hops of a map add up",
        "route-map M permit 10\n set ip next-hop 10.0.0.2\n",
        ("route-map M permit 10", "set ip next-hop 10.0.0.3 10.0.0.2"),
        left=("route-map M permit 10\n set ip next-hop 10.0.0.2 10.0.0.3",),
    ),
    Case(
        "and go one by one",
        "route-map M permit 10\n set ip next-hop 10.0.0.2 10.0.0.3\n",
        ("route-map M permit 10", "no set ip next-hop 10.0.0.2"),
        left=("route-map M permit 10\n set ip next-hop 10.0.0.3",),
    ),
    Case(
        "a router has one policy for its own packets",
        f"{GIG}ip local policy route-map OLD\n",
        ("interface gi0/1", "ip local policy route-map NEW"),
        left=("ip local policy route-map NEW",),
        gone=("ip local policy route-map OLD",),
    ),
    Case(
        "well-known ports of UDP have names",
        "ip access-list extended L\n",
        ("ip access-list extended L", "permit udp host 10.0.0.1 eq 434 any range 67 68"),
        left=(
            "ip access-list extended L\n permit udp host 10.0.0.1 eq mobile-ip any"
            " range bootps bootpc",
        ),
    ),
    Case(
        "a list is numbered anew",
        "ip access-list standard L\n permit 10.0.0.1\n permit 10.0.0.3\n",
        (
            "ip access-list resequence L 100 10",
            "ip access-list standard L",
            "105 permit 10.0.0.2",
            "no 110",
        ),
        left=("ip access-list standard L\n permit 10.0.0.1\n permit 10.0.0.2\n",),
        gone=("resequence", " permit 10.0.0.3"),
    ),
    Case(
        "a list that is not there cannot be numbered",
        "",
        ("ip access-list resequence L 10 10",),
        "% Access-list L does not exist\n",
    ),
    Case(
        "`no redistribute` with an option takes the option",
        "router ospf 1\n redistribute mobile metric 20 subnets\n",
        ("router ospf 1", "no redistribute mobile metric 20"),
        left=("router ospf 1\n redistribute mobile subnets\n",),
    ),
    Case(
        "and without one the redistribution",
        "router ospf 1\n redistribute mobile metric 20 subnets\n",
        ("router ospf 1", "no redistribute mobile"),
        gone=(" redistribute mobile",),
    ),
    Case(
        "options of a redistribution add up",
        "router ospf 1\n redistribute static subnets\n",
        ("router ospf 1", "redistribute static route-map M", "redistribute static metric 5"),
        left=("router ospf 1\n redistribute static metric 5 subnets route-map M\n",),
    ),
    Case(
        "`ip route` is no abbreviation of `ip route-cache`",
        GIG,
        ("interface gi0/1", "ip route 10.9.0.0 255.255.0.0 10.0.0.2 na X"),
        left=("ip route 10.9.0.0 255.255.0.0 10.0.0.2 name X",),
        gone=("route-cache",),
    ),
    Case(
        "a banner is text until its delimiter",
        "",
        ("banner motd #hello", "no hostname", "  end#", "hostname x"),
        left=("banner motd ^C\nhello\nno hostname\n  end\n^C", "hostname x"),
    ),
    Case(
        "`default interface` has its lines say nothing again",
        f"{GIG} description x\n",
        ("default interface gi0/1",),
        "Interface GigabitEthernet0/1 set to default configuration\n",
        left=("interface GigabitEthernet0/1\n no ip address",),
        gone=(" description x",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bites(case: Case, console: Callable[[str], Console]) -> None:
    router = console(f"{case.before}interface GigabitEthernet0/2\n")
    said = router.configure(*case.typed)
    said = said.removeprefix("Enter TEXT message.  End with the character '#'.\n")
    assert (case.said in said) if case.said else said == ""
    running = router.device.running_config()
    lines = running + "\n"
    for line in case.left:
        assert f"\n{line}" in "\n" + lines, running
    for line in case.gone:
        assert f"{line}\n" not in lines, running


def test_removing_a_user_asks_and_the_next_line_answers(console: Callable[[str], Console]) -> None:
    router = console("username old secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0\n")
    router("configure terminal", "no username old")
    assert router.prompt.endswith("[confirm]")
    router("x")
    assert "username old" in router.device.running_config()
    router("no username old", "")
    assert "username old" not in router.device.running_config()


def test_the_prompt_follows_the_hostname_and_is_cut_in_configuration(
    console: Callable[[str], Console],
) -> None:
    router = console("hostname first")
    router("configure terminal", "hostname a-name-of-more-than-twenty-letters")
    assert router.prompt == "a-name-of-more-than-(config)#"
    router("interface Gi0/1.5", "end")
    assert router.prompt == "a-name-of-more-than-twenty-letters#"


def test_a_router_id_is_used_after_the_process_is_cleared(
    console: Callable[[str], Console],
) -> None:
    router = console("router ospf 1\n router-id 1.1.1.1\n")
    router.configure("router ospf 1", "router-id 2.2.2.2")
    assert router.device.router_ids == {"router ospf 1": "1.1.1.1"}
    router("clear ip ospf process", "yes")
    assert router.device.router_ids == {"router ospf 1": "2.2.2.2"}


def test_the_journal_knows_a_virtual_address_that_was_withdrawn_from_a_group_that_lives(
    console: Callable[[str], Console],
) -> None:
    router = console(f"{GIG} standby 1 ip 10.0.0.254\n standby 2 ip 10.0.0.253\n")
    router.configure("interface gi0/1", "standby 1 ip 10.0.0.252", "no standby 2")
    assert withdrawals(router.device.journal) == []
    router.configure(
        "interface gi0/1", "no standby 1 ip", "standby 1 priority 7", "standby 1 ip 10.0.0.252"
    )
    (found,) = withdrawals(router.device.journal)
    assert (found.interface, found.group, found.address) == (
        "GigabitEthernet0/1",
        1,
        "10.0.0.252",
    )
    assert found.entry.line == "no standby 1 ip"

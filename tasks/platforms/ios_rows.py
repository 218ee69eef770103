"""Cisco IOS and IOS XE: what its commands are.

Most of IOS is `command value`, overwritten by typing it again and removed by `no` and the same
line. The rows below are where that is not the whole truth, or where order matters:

  * **HSRP.** Every `standby` setting overwrites in place. Withdrawing one first (`no standby 1 ip`)
    leaves the group without its address, which is how generic engines drop traffic to change a
    priority. A group goes at once, by `no standby 1`. A new group gets its address last, so that
    it does not come up with default priority and timers and without authentication.
    A delay of `preempt` may outlive the line that does not say it: it is taken away by its name.
  * **Addresses.** The primary address overwrites; secondaries are a list, and must go before the
    primary. No two interfaces may overlap, not even for a moment.
  * **VRFs.** Setting or changing `vrf forwarding` deletes the interface's addresses and with them
    its HSRP groups: the router says so, and somebody has to type them again.
  * **Object tracking, prefix lists, OSPF keys.** An entry that exists is not overwritten: the
    router refuses ("already exists", "delete old config first"). It is removed and made anew.
  * **Next hops.** A route map's `set ip next-hop` is a list, to which a second line adds. A packet
    that finds none goes by the routing table: a moment without one is the lesser evil.
  * **Redistribution.** Options add up; typing the line without an option does not take it away,
    `no redistribute mobile metric 20` does, and leaves the redistribution itself alone.
  * **Access lists.** Order is meaning. `no access-list 10 permit ...` deletes the whole list, and a
    list that does not exist permits everything: lists are edited in place, entry by entry.
  * **Mobile IP.** `ip mobile` lines need `router mobile`. Hosts name virtual networks and pools,
    redundancy names an HSRP group. Removing a host or a network drops its bindings.

Sources: Cisco IOS command references (IP Application Services, IP Mobility, IP Routing, Security),
Mobile Wireless Home Agent 12.4(15)XM; where none is at hand, the behaviour that engineers report.
"""

from __future__ import annotations

from dataclasses import replace

from .rules import Context, Impact, Kind, Rule

R = Rule
_OVERWRITE, _RECREATE = Kind.OVERWRITE, Kind.RECREATE
_ADDITIVE, _LIST, _ORDERED = Kind.ADDITIVE, Kind.LIST, Kind.ORDERED
_NONE, _REELECTION, _BINDINGS = Impact.NONE, Impact.REELECTION, Impact.BINDING_LOSS
_ADJACENCY, _LOCKOUT = Impact.ADJACENCY_RESET, Impact.LOCKOUT

_HOST = (
    r"pool local (?P<pool>\S+)",
    r"virtual-network (?P<network>\S+) (?P<mask>\S+)",
    r"interface (?P<interface>\S+)",
)

# --- global configuration -------------------------------------------------------------------------

_TOP = (
    # How we reach the router. `no` of any of these is a door that closes behind us.
    R("hostname {name}", no="no hostname", management=True, why="the prompt changes"),
    R("enable secret|password {secret*}", no="no enable secret", management=True,
      impact=_LOCKOUT, why="privileged access"),
    R("username {user} {rest*}", key="username {user}", no="no username {user}", management=True,
      impact=_LOCKOUT, impact_new=_NONE, why="the account of this session may change"),
    R("aaa new-model", management=True, impact=_LOCKOUT, why="how logins are checked"),
    R("aaa {what:authentication|authorization|accounting} {kind} {list} {rest*}",
      key="aaa {what} {kind} {list}", management=True, impact=_LOCKOUT,
      why="how logins are checked"),
    R("ip ssh {rest*}", _LIST, management=True, impact=_LOCKOUT, why="how this session is made"),
    R("line {line:.+}", key="line {line}", inside="line", permanent=True, management=True),
    R("banner {kind} {text*}", key="banner {kind}", no="no banner {kind}"),
    # Definers: before those who name them.
    R("vrf definition {vrf}", inside="vrf", defines=("vrf {vrf}",), rank=10,
      impact_gone=_ADJACENCY, why="its interfaces lose their addresses"),
    R("ip vrf {vrf}", inside="vrf", defines=("vrf {vrf}",), rank=10,
      impact_gone=_ADJACENCY, why="its interfaces lose their addresses"),
    R("key chain {chain}", inside="key chain", defines=("key-chain {chain}",), rank=12,
      complete=True),
    R("ip access-list standard|extended {acl}", inside="acl", defines=("acl {acl}",), rank=14,
      complete=True),
    R("ip prefix-list {list} seq {seq} {rest*}", _RECREATE, key="ip prefix-list {list} seq {seq}",
      no="no ip prefix-list {list} seq {seq}", defines=("prefix-list {list}",), rank=14,
      impact=_ADJACENCY, impact_new=_NONE, impact_gone=_NONE,
      why="for a moment the list is without this entry, and without any it lets all pass"),
    R("route-map {map} {action:permit|deny} {seq}", key="route-map {map} {seq}",
      no="no route-map {map} {action} {seq}", inside="route-map", defines=("route-map {map}",),
      rank=16, complete=True),
    R("track {object} interface {interface} {what*}", _RECREATE, key="track {object}",
      no="no track {object}", inside="track", defines=("track {object}",),
      refers=("interface {interface}",), withdraw=True, rank=32,
      impact=_REELECTION, impact_new=_NONE, why="HSRP follows the tracked object"),
    R("track {object} {rest*}", _RECREATE, key="track {object}", no="no track {object}",
      inside="track", defines=("track {object}",), withdraw=True, rank=32,
      impact=_REELECTION, impact_new=_NONE, why="HSRP follows the tracked object"),
    # Interfaces and routing.
    R("interface {interface}", inside="interface", defines=("interface {interface}",), rank=30,
      impact_gone=_ADJACENCY, why="the interface goes"),
    R("router mobile", defines=("router mobile",), rank=40, impact_gone=_BINDINGS,
      why="all of Mobile IP goes"),
    R("router ospf {process} [vrf {vrf}]", no="no router ospf {process}", inside="router ospf",
      key="router ospf {process}", refers=("vrf {vrf}",), rank=60, impact_gone=_ADJACENCY,
      why="the routing process goes"),
    R("router bgp {as}", inside="router bgp", claims=("bgp - 0 0",), rank=60,
      impact_gone=_ADJACENCY, why="the routing process goes"),
    R("ip route {net:[0-9.]+} {mask:[0-9.]+} {via} {rest*}", rank=62,
      key="ip route {net} {mask} {via}", no="no ip route {net} {mask} {via}",
      impact_gone=_ADJACENCY, why="a static route goes"),
    R("ip route vrf {vrf} {rest*}", _LIST, refers=("vrf {vrf}",), rank=62, impact_gone=_ADJACENCY,
      why="a static route goes"),
    R("ip route {rest*}", _LIST, rank=62, impact_gone=_ADJACENCY, why="a static route goes"),
    R("ip local policy route-map {map}", no="no ip local policy route-map {map}",
      refers=("route-map {map}",), rank=64),
    # Mobile IP.
    R("ip local pool {pool} {low} {high} {rest*}", _LIST, defines=("pool {pool}",),
      claims=("pool - {low} {high}",), rank=42, withdraw=True,
      impact_gone=_BINDINGS, why="addresses of the pool are no longer given"),
    R("ip local pool {pool} {low}", _LIST, defines=("pool {pool}",),
      claims=("pool - {low} {low}",), rank=42, withdraw=True,
      impact_gone=_BINDINGS, why="addresses of the pool are no longer given"),
    R("ip mobile virtual-network {network} {mask} {rest*}", rank=44,
      key="ip mobile virtual-network {network} {mask}",
      no="no ip mobile virtual-network {network} {mask}",
      defines=("virtual-network {network} {mask}",), refers=("router mobile",),
      impact_gone=_BINDINGS, why="the home network goes, and its bindings with it"),
    R("ip mobile home-agent redundancy {name} {rest*}", rank=47,
      key="ip mobile home-agent redundancy {name}", no="no ip mobile home-agent redundancy {name}",
      refers=("router mobile", "home-agent", "redundancy {name}"),
      impact=_BINDINGS, impact_new=_NONE, why="bindings are copied to the peer by this name"),
    R("ip mobile home-agent standby {name} {rest*}", rank=47,
      key="ip mobile home-agent redundancy {name}", no="no ip mobile home-agent standby {name}",
      refers=("router mobile", "home-agent", "redundancy {name}"),
      impact=_BINDINGS, impact_new=_NONE, why="bindings are copied to the peer by this name"),
    R("ip mobile home-agent address {address} {rest*}", key="ip mobile home-agent address",
      refers=("router mobile", "home-agent"), rank=46,
      impact=_BINDINGS, impact_new=_NONE, why="mobile nodes are registered with this address"),
    R("ip mobile home-agent template tunnel {tunnel} {rest*}", refers=("router mobile",
      "home-agent", "interface Tunnel{tunnel}"), key="ip mobile home-agent template", rank=46),
    R("ip mobile home-agent {part:accounting|dfp-max-weight|dynamic-address|host-config|hotline"
      "|max-binding|max-cps|multi-path|reject-static-addr|resync-sa|revocation|service-policy"
      "|aaa} {rest*}", key="ip mobile home-agent {part}", no="no ip mobile home-agent {part}",
      refers=("router mobile", "home-agent"), rank=46),
    R("ip mobile home-agent {options*}", key="ip mobile home-agent", no="no ip mobile home-agent",
      defines=("home-agent",), refers=("router mobile", "acl {acl}", "acl {roam}"), rank=45,
      mentions=(r"care-of-access (?P<acl>\S+)", r"roam-access (?P<roam>\S+)"),
      impact_gone=_BINDINGS, why="the home agent stops"),
    R("ip mobile host nai {nai} {rest*}", key="ip mobile host nai {nai}", rank=48,
      no="no ip mobile host nai {nai}", mentions=_HOST,
      refers=("router mobile", "pool {pool}", "virtual-network {network} {mask}",
              "interface {interface}"),
      impact_gone=_BINDINGS, why="the node's binding goes"),
    R("ip mobile host {low:[0-9.]+} [{high:[0-9.]+}] {rest:[a-z].*}", rank=48,
      key="ip mobile host {low}", mentions=_HOST, claims=("host - {low} {high}",),
      refers=("router mobile", "pool {pool}", "virtual-network {network} {mask}",
              "interface {interface}"),
      impact_gone=_BINDINGS, why="the nodes' bindings go"),
    R("ip mobile secure {peer:host|visitor|mn-aaa|proxy-host} {name:.+?} spi {spi} {rest*}",
      key="ip mobile secure {peer} {name} spi {spi}", refers=("router mobile",), rank=49,
      no="no ip mobile secure {peer} {name} spi {spi}",
      impact=_BINDINGS, impact_new=_NONE, why="the node registers with this key"),
    R("ip mobile secure {peer} {name:.+?} spi {spi} {rest*}",
      key="ip mobile secure {peer} {name} spi {spi}", refers=("router mobile",), rank=49,
      no="no ip mobile secure {peer} {name} spi {spi}",
      impact=_BINDINGS, impact_new=_NONE, why="the peers authenticate with this key"),
    R("ip mobile secure {rest*}", _LIST, refers=("router mobile",), rank=49),
    R("ip mobile {rest*}", _LIST, refers=("router mobile",), rank=48),
    # SNMP, CDP, logging, time.
    R("snmp-server view {view} {rest*}", _LIST, defines=("snmp-view {view}",), rank=69),
    R("snmp-server group {group} {version} {rest*}", _LIST, defines=("snmp-group {group}",),
      rank=70, refers=("snmp-view {read}", "snmp-view {write}", "snmp-view {notify}"),
      mentions=(r"read (?P<read>\S+)", r"write (?P<write>\S+)", r"notify (?P<notify>\S+)")),
    R("snmp-server community {community} {rest*}", key="snmp-server community {community}",
      no="no snmp-server community {community}", refers=("acl {acl}", "snmp-view {view}"), rank=71,
      mentions=(r"(?:ro|rw) (?P<acl>\S+)$", r"view (?P<view>\S+)")),
    R("snmp-server user {user} {group} v3 {rest*}", key="snmp-server user {user}", rank=72,
      no="no snmp-server user {user} {group} v3", refers=("snmp-group {group}",),
      defines=("snmp-user {user}",)),
    R("snmp-server host {host} version 3 {level} {user} {rest*}", _LIST,
      refers=("snmp-user {user}",), rank=73),
    R("snmp-server host {rest*}", _LIST, rank=73),
    R("snmp-server enable traps {rest*}", _LIST, rank=74),
    R("snmp-server {what:location|contact|chassis-id} {rest*}", key="snmp-server {what}",
      no="no snmp-server {what}", rank=74),
    R("cdp run", default_on=True, rank=75),
    R("cdp timer {seconds}", no="no cdp timer", default="cdp timer 60", rank=75),
    R("cdp holdtime {seconds}", no="no cdp holdtime", default="cdp holdtime 180", rank=75),
    R("logging {what:buffered|trap|facility|source-interface} {rest*}", key="logging {what}",
      no="no logging {what}", rank=76),
    R("ntp source {interface}", no="no ntp source", rank=76),
    R("service pad", default_on=True),
    R("ip domain lookup", default_on=True),
    R("ip domain-lookup", default_on=True),
    R("ip domain name {name}", no="no ip domain name"),
    R("archive", inside="archive"),
    R("service {rest*}", _LIST),
)  # fmt: skip

# --- interface ------------------------------------------------------------------------------------

_HSRP = "the HSRP group elects again"


def _hsrp(row: Rule) -> Rule:
    """A setting of an HSRP group."""
    return replace(row, group="standby {group}", impact=_REELECTION, why=_HSRP)


_INTERFACE = (
    R("vrf forwarding {vrf}", key="vrf forwarding", refers=("vrf {vrf}",), rank=0,
      drops=("ip address", "standby "), impact=_ADJACENCY,
      why="the interface loses its addresses and HSRP groups until they are typed again"),
    R("ip vrf forwarding {vrf}", key="vrf forwarding", refers=("vrf {vrf}",), rank=0,
      drops=("ip address", "standby "), impact=_ADJACENCY,
      why="the interface loses its addresses and HSRP groups until they are typed again"),
    R("description {text*}", no="no description", rank=2),
    R("encapsulation dot1q {vlan} {rest*}", key="encapsulation", rank=3, impact=_ADJACENCY,
      impact_new=_NONE, why="the subinterface moves to another VLAN"),
    R("ip address {address} {mask} secondary", _LIST, rank=21,
      refers=("primary {_interface}",), claims=("network {_interface} {address} {mask}",
      "address - {address} {address}")),
    R("ip address {address:[0-9.]+} {mask:[0-9.]+}", key="ip address", rank=20,
      defines=("primary {_interface}",), claims=("network {_interface} {address} {mask}",
      "address - {address} {address}"), impact=_ADJACENCY, impact_new=_NONE,
      why="the connected network changes"),
    R("ip address {how}", key="ip address", rank=20, impact=_ADJACENCY, impact_new=_NONE,
      why="the connected network changes"),
    R("ip address", key="ip address", rank=20),
    R("ip unnumbered {interface}", refers=("interface {interface}",), rank=20,
      no="no ip unnumbered",
      impact=_ADJACENCY, impact_new=_NONE, why="the connected network changes"),
    R("ip access-group {acl} {direction:in|out}", key="ip access-group {direction}",
      refers=("acl {acl}",), rank=30),
    R("tunnel source {interface}", no="no tunnel source", rank=24,
      refers=("interface {interface}",), impact=_ADJACENCY, impact_new=_NONE,
      why="the tunnel is built anew"),
    R("tunnel {what:destination|mode|key|vrf} {rest*}", key="tunnel {what}", rank=24,
      no="no tunnel {what}", impact=_ADJACENCY, impact_new=_NONE, why="the tunnel is built anew"),
    # HSRP: the group's address last, so that the group comes up as it is meant to be.
    R("standby version {version}", no="no standby version", default="standby version 1", rank=38,
      pivot="standby ", impact=_REELECTION, why="both routers must speak one version"),
    R("standby delay {rest*}", no="no standby delay", rank=39),
    _hsrp(R("standby {group:\\d+} priority {priority}", key="standby {group} priority", rank=40,
      no="no standby {group} priority", default="standby {group} priority 100")),
    _hsrp(R("standby {group:\\d+} timers {rest*}", key="standby {group} timers", rank=40,
      no="no standby {group} timers", default="standby {group} timers 3 10")),
    _hsrp(R("standby {group:\\d+} authentication md5 key-chain {chain}", rank=41,
      key="standby {group} authentication", no="no standby {group} authentication",
      refers=("key-chain {chain}",))),
    _hsrp(R("standby {group:\\d+} authentication {rest*}", rank=41,
      key="standby {group} authentication", no="no standby {group} authentication")),
    R("standby {group:\\d+} name {name}", key="standby {group} name", rank=42,
      no="no standby {group} name", defines=("redundancy {name}",), group="standby {group}",
      impact=_BINDINGS, impact_new=_NONE, why="home-agent redundancy follows the group's name"),
    _hsrp(R("standby {group:\\d+} track {object} {rest*}", rank=43,
      key="standby {group} track {object}",
      no="no standby {group} track {object}", refers=("track {object}",))),
    _hsrp(R("standby {group:\\d+} preempt delay {delays*}", _ADDITIVE, rank=44, options="delays",
      key="standby {group} preempt", no="no standby {group} preempt",
      no_option="no standby {group} preempt delay {option}")),
    _hsrp(R("standby {group:\\d+} preempt {rest*}", _ADDITIVE, rank=44,
      key="standby {group} preempt", no="no standby {group} preempt")),
    _hsrp(R("standby {group:\\d+} ip {address} secondary", _LIST, rank=46,
      refers=("vip {_interface} {group}", "primary {_interface}"),
      claims=("vip - {address} {address}",))),
    _hsrp(R("standby {group:\\d+} ip {address*}", key="standby {group} ip", rank=45,
      no="no standby {group} ip", defines=("vip {_interface} {group}",),
      refers=("primary {_interface}",), claims=("vip - {address} {address}",))),
    _hsrp(R("standby {group:\\d+} {what} {rest*}", key="standby {group} {what}", rank=44,
      no="no standby {group} {what}")),
    # OSPF on the interface.
    R("ip ospf message-digest-key {id} md5 {key*}", _RECREATE,
      key="ip ospf message-digest-key {id}", no="no ip ospf message-digest-key {id}", rank=50,
      impact=_ADJACENCY, impact_new=_NONE, why="the neighbours must hold the same key"),
    R("ip ospf authentication {rest*}", no="no ip ospf authentication", rank=51,
      impact=_ADJACENCY, why="the neighbours must authenticate alike"),
    R("ip ospf authentication-key {rest*}", no="no ip ospf authentication-key", rank=51,
      impact=_ADJACENCY, why="the neighbours must hold the same key"),
    R("ip ospf {what:hello-interval|dead-interval|network} {rest*}", key="ip ospf {what}",
      no="no ip ospf {what}", rank=52, impact=_ADJACENCY, why="the neighbours must agree on it"),
    R("ip ospf {process:\\d+} area {area}", key="ip ospf {process} area", rank=53,
      impact=_ADJACENCY, impact_new=_NONE, why="the interface leaves its area"),
    R("ip ospf {what:cost|priority|retransmit-interval|transmit-delay} {rest*}",
      key="ip ospf {what}", no="no ip ospf {what}", rank=53),
    R("cdp enable", default_on=True, rank=60),
    R("ip redirects", default_on=True, rank=60),
    R("ip unreachables", default_on=True, rank=60),
    R("ip proxy-arp", default_on=True, rank=60),
    R("ip route-cache", default_on=True, rank=60),
    R("keepalive", default_on=True, rank=60),
    R("ip split-horizon", default_on=True, rank=60),
    R("{what:mtu|bandwidth|delay|load-interval|duplex|speed} {rest*}", key="{what}",
      no="no {what}", rank=61),
    R("ip {what:mtu} {rest*}", key="ip {what}", no="no ip {what}", rank=61),
    R("ip tcp adjust-mss {size}", no="no ip tcp adjust-mss", rank=61),
    R("shutdown", rank=90, impact=_ADJACENCY, impact_new=_ADJACENCY, impact_gone=_NONE,
      why="the interface goes down"),
)  # fmt: skip

# --- the other sections ---------------------------------------------------------------------------

_OSPF = (
    R("router-id {address}", no="no router-id", rank=0, impact=_ADJACENCY, impact_new=_ADJACENCY,
      why="takes effect when the process is cleared"),
    R("network {address} {wildcard} area {area}", _RECREATE, key="network {address} {wildcard}",
      rank=20, impact=_ADJACENCY, impact_new=_NONE, why="its interfaces leave the area"),
    R("redistribute {source:ospf|bgp|eigrp|isis} {process} {options*}", _ADDITIVE, rank=30,
      key="redistribute {source} {process}", no="no redistribute {source} {process}",
      options="options", refers=("route-map {map}",), mentions=(r"route-map (?P<map>\S+)",)),
    R("redistribute {source} {options*}", _ADDITIVE, key="redistribute {source}",
      no="no redistribute {source}", options="options", refers=("route-map {map}",), rank=30,
      mentions=(r"route-map (?P<map>\S+)",)),
    R("passive-interface default", rank=10, impact=_ADJACENCY, why="no interface speaks OSPF"),
    R("passive-interface {interface}", _LIST, rank=11, impact=_ADJACENCY,
      why="the interface stops speaking OSPF"),
    R("area {area} authentication {rest*}", key="area {area} authentication", rank=12,
      no="no area {area} authentication", impact=_ADJACENCY,
      why="the neighbours must authenticate alike"),
    R("distance {rest*}", _LIST),
    R("{what:auto-cost|maximum-paths|max-lsa} {rest*}", key="{what}", no="no {what}"),
)  # fmt: skip


def _neighbor(row: Rule) -> Rule:
    """A setting of a BGP neighbour."""
    return replace(row, group="neighbor {neighbor}")


_BGP = (
    R("bgp router-id {address}", no="no bgp router-id", rank=0, impact=_ADJACENCY,
      why="all sessions are reset"),
    _neighbor(R("neighbor {neighbor} peer-group", rank=10, defines=("neighbor {neighbor}",))),
    _neighbor(R("neighbor {neighbor} remote-as {as}", key="neighbor {neighbor} remote-as", rank=11,
      defines=("neighbor {neighbor}",), impact=_ADJACENCY, impact_new=_NONE,
      why="the session is reset")),
    _neighbor(R("neighbor {neighbor} {what:route-map|prefix-list|distribute-list} {list}"
      " {way:in|out}", key="neighbor {neighbor} {what} {way}",
      refers=("neighbor {neighbor}", "{what} {list}"),
      rank=13)),
    _neighbor(R("neighbor {neighbor} {what:password|update-source|ebgp-multihop|local-as} {rest*}",
      key="neighbor {neighbor} {what}", refers=("neighbor {neighbor}",), rank=12,
      impact=_ADJACENCY, why="the session is reset")),
    _neighbor(R("neighbor {neighbor} {what} {rest*}", key="neighbor {neighbor} {what}", rank=12,
      refers=("neighbor {neighbor}",))),
    R("network {rest*}", _LIST, rank=20),
    R("redistribute {source:ospf|eigrp|isis} {process} {options*}", _ADDITIVE, rank=30,
      key="redistribute {source} {process}", no="no redistribute {source} {process}",
      options="options", refers=("route-map {map}",), mentions=(r"route-map (?P<map>\S+)",)),
    R("redistribute {source} {options*}", _ADDITIVE, key="redistribute {source}", rank=30,
      no="no redistribute {source}", options="options", refers=("route-map {map}",),
      mentions=(r"route-map (?P<map>\S+)",)),
    R("address-family {family*}", key="address-family {family}", inside="router bgp", rank=40),
    R("maximum-paths {rest*}", no="no maximum-paths"),
)  # fmt: skip

_ROUTE_MAP = (
    R("match ip address prefix-list {list}", refers=("prefix-list {list}",)),
    R("match ip address {acl}", refers=("acl {acl}",)),
    R("match {what} {rest*}", _LIST),
    R("set ip next-hop {hops*}", _RECREATE, no="no set ip next-hop {hops}"),
    R("set {what:ip|ipv6} {kind} {rest*}", key="set {what} {kind}"),
    R("set {what} {rest*}", key="set {what}"),
    R("description {text*}", no="no description"),
)
_KEY_CHAIN = (R("key {id}", inside="key"),)
_KEY = (
    R("key-string {rest*}", no="no key-string"),
    R("{what:accept-lifetime|send-lifetime|cryptographic-algorithm} {rest*}", key="{what}",
      no="no {what}"),
)  # fmt: skip
_VRF = (
    R("rd {rd}", no="no rd {rd}"),
    R("description {text*}", no="no description"),
    R("address-family {family*}", key="address-family {family}", inside="vrf"),
)
_TRACK = (
    R("delay {rest*}", no="no delay"),
    R("description {text*}", no="no description"),
    R("object {object} {rest*}", key="object {object}", refers=("track {object}",)),
)
_LINE = (
    R("transport {way:input|output|preferred} {rest*}", key="transport {way}", rank=10,
      management=True, impact=_LOCKOUT, why="how this session is made"),
    R("login {rest*}", no="no login", management=True, impact=_LOCKOUT,
      why="how logins are checked", rank=20),
    R("password {rest*}", no="no password", management=True, impact=_LOCKOUT, rank=10,
      why="how logins are checked"),
    R("access-class {acl} {direction:in|out} {rest*}", key="access-class {direction}",
      refers=("acl {acl}",), management=True, impact=_LOCKOUT, rank=30,
      why="who may connect"),
    R("exec-timeout {rest*}", no="no exec-timeout", default="exec-timeout 10 0"),
    R("{what:privilege level|authorization exec|logging} {rest*}", key="{what}", management=True),
)  # fmt: skip
_ARCHIVE = (
    R("path {rest*}", no="no path"),
    R("maximum {rest*}", no="no maximum"),
    R("log config", inside="archive"),
)

CONTEXTS = {
    "": Context.of(_TOP),
    "interface": Context.of(_INTERFACE),
    "router ospf": Context.of(_OSPF),
    "router bgp": Context.of(_BGP),
    "route-map": Context.of(_ROUTE_MAP),
    "key chain": Context.of(_KEY_CHAIN),
    "key": Context.of(_KEY),
    "vrf": Context.of(_VRF),
    "track": Context.of(_TRACK),
    "line": Context.of(_LINE),
    "archive": Context.of(_ARCHIVE),
    "acl": Context.of((R("{entry*}", _ORDERED),)),
}

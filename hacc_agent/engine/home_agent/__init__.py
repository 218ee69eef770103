"""The member of a cluster: a Home Agent (RFC 5944, 3.8), pure.

agent         requests in, records and replies out; time
case          one request, and what is found out about it
decisions     what is wrong with it: the rules, in order
acceptance    what changes when nothing is
replay        whether its Identification is fresh
associations  keys; who may register
tunnels       which tunnel
networks      mobile networks behind routers
revocation    revocation, both ways
questions     what the AAA server is asked
keepalive     pings in UDP tunnels
state         rows, pools and routes: what records made
service       the configuration, ready for decisions
counters      named as in RFC 2006
"""

from __future__ import annotations

from .agent import HomeAgent
from .counters import Counters

__all__ = ["Counters", "HomeAgent"]

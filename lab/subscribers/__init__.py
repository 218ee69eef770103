"""Mobile nodes and Foreign Agents that really register, with a cluster that cannot tell them apart
from anybody else's.

    association    a mobility security association, ready for use; what else both ends agree on
    mobile_node    one subscriber: registers, renews, repairs, moves, leaves (RFC 5944, 3.6)
    foreign_agent  the visited end: advertises, checks, relays (3.7)
    visitors       that list
    wheel          thousands of deadlines
    population     many nodes on a few Foreign Agents, on one clock
    probes         packets between a correspondent and mobile nodes, and what became of each
    latencies      durations, as percentiles
    report         what came of it
    network        namespaces behind the cluster's LAN, and their sockets
    edge           the router there that speaks OSPF with the cluster, and the correspondent
    traffic        probes at a steady pace, through these
    icmp           errors that datagrams met on their way
    contract       who may register, from what the cluster's routers were told
    session        the loop between the sockets and the population
    command        `hacc lab subscribers`

The first eight are pure: time and chance are arguments, octets go in and out. Nodes and their
agents live in one process and speak to each other by calls, in the very octets that a link would
carry; what leaves an agent towards the Home Agent, and comes back, goes over real UDP from its
address.
"""

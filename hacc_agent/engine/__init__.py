"""Decisions: events in, effects out; no socket, clock, file or randomness.

record       the 64 octets that a change of a binding is, everywhere
table        rows of records, found by home address and by NAI; what both engines stand on
names        NAIs: octets once, a number of 64 bits everywhere else
index        from a key's hash to a number, a batch at a time
memory       columns that are allocated once and touched lazily
slots        binding -> slot -> member
effects      what an engine wants done, and in which order
batch        many datagrams as columns
cluster      the controller: which member, pending, permanent
home_agent   the member: RFC 5944 and its relatives
"""

"""SNMP's messages, keys and sockets; what they mean is decided in `engine.snmp`.

A controller asks its members in a process of its own (`poller` starts it, `asking` is what it
does), so that no message of SNMP ever delays a packet. A member answers through its router's snmpd
(`subagent`).
"""

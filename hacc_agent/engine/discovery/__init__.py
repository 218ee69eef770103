"""Who else is on our LANs: what we say there, what we hear, and how it compares with the intent.

    advertising   when an agent advertises, and with which number (RFC 5944, 2; RFC 1256)
    neighbours    who was heard on a LAN, and whether that is who it should be
    layer2        what members know of their neighbours by CDP and LLDP, as SNMP tells it

Nothing that is heard is ever obeyed: anybody on a LAN can say anything. It ends in findings that
people read.
"""

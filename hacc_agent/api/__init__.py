"""`hacc-agent api`: what a controller knows, over HTTPS, for people, scripts and Prometheus.

A process of its own, without any right, beside the daemon. It reads its own file, which holds no
key of any mobile node, and asks the daemon over its control socket: once a second while anybody
wants to know, however many they are. So neither a thousand listeners nor a fault in here slow a
registration down.

    config        /etc/hacc/api.toml, written by the compiler
    contract      the operations: what each takes, gives, and needs; the OpenAPI document
    schemas       the shapes of what is given
    access        who is calling, and what that one may do
    allowance     how often
    gate          in front of every operation: sizes, origins, callers, rates, headers
    documents     the daemon's answers as they are given away
    feed          asks the daemon, and tells who listens what is new
    metrics       the same for Prometheus
    operations    each operation of the contract
    protocol      connections that are slow, or do not end
    service       from the file to a running server
    page.html     the live view, which uses nothing but these operations
"""

"""Virtual routers on one machine: the fabric of namespaces (lab/) and the IOS simulator (lab/ios/)."""

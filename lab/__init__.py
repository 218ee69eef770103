"""Virtual routers on one machine: namespaces as Linux routers, and the IOS simulator (lab/ios/)."""

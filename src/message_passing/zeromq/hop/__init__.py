"""The acknowledged hop between a DEALER and a ROUTER: docs/hop-protocol.md. Everything but `link` is without I/O."""

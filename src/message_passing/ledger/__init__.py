"""The ledger: what a node lost, by minute, component, reason and sender, in a file that survives its restarts."""

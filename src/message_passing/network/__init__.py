"""The common parts of outputs that send batches to a peer over the network."""

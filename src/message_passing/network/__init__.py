"""What outputs share that send batches to a peer over the network."""

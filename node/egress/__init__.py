"""The side of the wall that has the network and no records."""

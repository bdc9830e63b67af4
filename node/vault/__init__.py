"""The side of the wall that has the records and no network."""

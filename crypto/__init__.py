"""Field, XOF, masking, sealing, signed notes and the Merkle log: bytes in, bytes out."""

DISTRIBUTION = "fedscreen"

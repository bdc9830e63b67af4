"""The contract: gRPC messages, signed statements and the log read as a state machine."""

DISTRIBUTION = "fedscreen"

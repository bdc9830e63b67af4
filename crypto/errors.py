"""Errors of the crypto room: one base class; what each one means to a caller.

Messages say where, what was expected and what was found, never a share, seed or key.
"""


class CryptoError(Exception):
    """Base of every error this room raises."""


class ParameterError(CryptoError):
    """An argument or a combination of protocol parameters breaks its rule."""


class DecodeError(CryptoError):
    """Bytes or text are not the one canonical encoding of a value."""


class ShapeMismatchError(CryptoError):
    """A vector has another number of cells (or another element type) than asked for."""


class FieldRangeError(CryptoError):
    """An element is not canonical: it is not below the modulus, or not centre-liftable."""


class OpenError(CryptoError):
    """A sealed box does not open: wrong key, wrong context, or altered bytes."""


class VerificationError(CryptoError):
    """A signature or a proof does not hold."""


class InclusionProofError(VerificationError):
    """An inclusion proof does not lead from the leaf to the root."""


class ConsistencyError(VerificationError):
    """A consistency proof does not connect two tree heads."""


class CosignatureError(VerificationError):
    """A witness cosignature is malformed, wrong, or the quorum of them is not reached."""

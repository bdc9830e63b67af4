"""A seeded stream for the privacy tests, shared as a fixture."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

StreamMaker = Callable[[int], Callable[[int], bytes]]


@pytest.fixture
def make_stream() -> StreamMaker:
    """Return a maker of endless AES-CTR streams, one per seed: fast, and the same on every run."""

    def make(seed: int) -> Callable[[int], bytes]:
        cipher = Cipher(algorithms.AES(seed.to_bytes(32, "big")), modes.CTR(bytes(16))).encryptor()
        return lambda size: cipher.update(bytes(size))

    return make

"""Holders of the local roles, with keys that stand for stretched passphrases."""

from __future__ import annotations

from typing import Any

from fakes_vault import SchoolHouse, fake_bytes


def key_of(name: str) -> str:
    """Give what a person's passphrase is stretched to."""
    return fake_bytes(f"passphrase of {name}", 32).hex()


def actor(role: str, name: str) -> dict[str, str]:
    """Name a holder with the right key."""
    return {"role": role, "name": name, "key": key_of(name)}


def add(house: SchoolHouse, role: str, name: str, **fields: Any) -> dict[str, Any]:
    """Give a role to a person."""
    salt = house.call("role_salt", role=role, name=name)["salt"]
    return house.call("role_add", role=role, name=name, salt=salt, key=key_of(name), **fields)

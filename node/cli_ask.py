"""How a command asks a person for a passphrase: hidden, and refused as soon as it cannot be one."""

from __future__ import annotations

import getpass
import warnings
from gettext import gettext as _

import click

from node.errors import UnlockError
from node.errors import _ as N_  # translated where it is shown
from node.unwrap import verify_length

NO_TERMINAL = "no-terminal"
PASSPHRASE_FILE, ROLE_PASSPHRASE_FILE = "--passphrase-file", "--role-passphrase-file"


def ask_passphrase(label: str, option: str = PASSPHRASE_FILE) -> str:
    """Ask for a passphrase that is there already.

    Args:
        label: what stands before the cursor, in the person's language.
        option: by which the passphrase may come from a file instead.

    Raises:
        UnlockError: there is no terminal on which typing can be hidden.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return str(click.prompt(label, hide_input=True, err=True))
    except getpass.GetPassWarning as err:
        raise UnlockError(
            N_("a passphrase is needed, and there is no terminal to type it on"),
            N_("Give it in a file that only you may read (mode 600): %(option)s FILE"),
            code=NO_TERMINAL,
            details={"option": option},
        ) from err


def ask_new_passphrase(label: str, option: str = PASSPHRASE_FILE) -> str:
    """Ask for a new passphrase, twice; one of a wrong length is refused before the second time.

    Raises:
        UnlockError: too short or too long, or there is no terminal.
    """
    while True:
        passphrase = ask_passphrase(label, option)
        verify_length(passphrase)
        if ask_passphrase(_("Repeat for confirmation"), option) == passphrase:
            return passphrase
        click.echo(_("the two passphrases differ"), err=True)

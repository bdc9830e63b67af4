"""The page on a computer without a network: no certificate, no connection; duties come by stick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from auditor import watch as watching
from auditor.config import AuditorFolder, read_config
from auditor.desk import Desk
from auditor.errors import KeyFileError, LinkError
from auditor.file_link import FileLink, empty_link
from auditor.keys import load_tls
from auditor.link import LogPage, Proposal
from plan.errors import phrase


class NoLink(FileLink):
    """A link to nobody: whoever asks the county is told to use the stick."""

    def get_log(self, start: int, max_entries: int) -> LogPage:  # noqa: ARG002 - as every link has it
        """Refuse."""
        raise _no_network()

    def list_proposals(self) -> Sequence[Proposal]:
        """Refuse."""
        raise _no_network()


@contextmanager
def desk_of(folder: AuditorFolder) -> Iterator[Desk]:
    """Open an auditor's directory: with its connection, or before 'join' without one.

    Raises:
        ConfigError, KeyFileError, PolicyError: the directory is not complete.
    """
    try:
        load_tls(folder)
    except KeyFileError:
        config = read_config(folder)
        yield watching.open_desk(folder, config, empty_link(config.federation, config.id, NoLink))
        return
    with watching.connected_desk(folder) as desk:
        yield desk


def _no_network() -> LinkError:
    words = phrase(
        "this computer has no certificate for the county's network; use the page for trips by stick"
    )
    return LinkError("no-certificate", words, is_temporary=False)

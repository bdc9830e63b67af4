"""A county before its first round, made once for each shape and copied for every seed.

Keys come from labels; every school has a real vault with pupils in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import lru_cache

from byzantine.memory_vault import MemoryVault
from fakes_federation import TinyFederation, fake_bytes
from fakes_vault import plan_of, pupils

from auditor.keys import AuditorKeys
from auditor.policy import default_policy, parse_auditor_policy
from crypto.note import parse_vkey
from node.vault.desk import Desk as VaultDesk
from node.vault.enrol import load_identity
from node.vault.records import save_records
from plan.document import PlanDocument, TableSpec
from protos.bodies import RosterNode, sorted_attributes

START = datetime(2026, 9, 10, 8, 0, tzinfo=UTC)
CENSUS = date(2026, 9, 5)
COUNTIES = (("530101", "甲"), ("530102", "乙"))
FEDERATION = "county-1"
LOW_CAP_SCHOOL, LOW_CAP = "s02", Fraction(3, 10)
"""One school's account has room for one round only."""
Tuple = tuple[int, int, int, int]
DIMS = (("grade",), ("sex",), ("grade", "sex"))
"""What the plans of a seed count: 2, 3 and 6 cells."""


@dataclass(frozen=True)
class Shape:
    """What a county looks like.

    Attributes:
        terms: (n, t, f, q).
        schools: how many.
        is_grouped: whether a table shows the schools of one of two counties; the other has two schools.
        shared: schools beyond the first of one operator.
    """

    terms: Tuple
    schools: int
    is_grouped: bool = False
    shared: int = 0


@dataclass(frozen=True)
class Template:
    """A county that has not begun.

    Attributes:
        federation: keys, card, and the log so far.
        vaults: record files of enrolled schools, with pupils.
        masters: K of each school.
    """

    shape: Shape
    federation: TinyFederation
    vaults: dict[str, MemoryVault]
    masters: dict[str, bytes]

    @property
    def nodes(self) -> list[str]:
        """Ids of the schools."""
        return sorted(self.vaults)

    @property
    def auditors(self) -> list[str]:
        """Ids of the auditors."""
        return sorted(self.federation.auditors)

    def keys(self, auditor: str) -> AuditorKeys:
        """An auditor's keys."""
        return AuditorKeys(self.federation.auditors[auditor], self.federation.witnesses[auditor])

    def document(self, which: int, **changes: object) -> PlanDocument:
        """Make one of the plans of this shape."""
        n, t, f, q = self.shape.terms
        values: dict[str, object] = {"num_auditors": n, "threshold": t, "collude": f, "quorum": q}
        table = TableSpec(id="T", title="表", dims=DIMS[which % len(DIMS)])
        if self.shape.is_grouped:
            where = (("county", ("530101",)),)
            table = TableSpec(id="T", title="表", dims=table.dims, where=where, attributes=("county",))
            values["attributes"] = (("county", COUNTIES),)
        return plan_of(**values, tables=(table,), **changes)


@lru_cache(maxsize=64)
def template_of(shape: Shape) -> Template:
    """Make the county of a shape."""
    n, _, _, quorum = shape.terms
    federation = TinyFederation(
        federation=FEDERATION,
        num_auditors=n,
        num_nodes=0,
        tuple_=shape.terms,
        quorum=quorum,
        kind="production",
    )
    vaults, rows, masters = {}, [], {}
    for number in range(1, shape.schools + 1):
        name = f"s{number:02d}"
        operator = f"school {name if number > shape.shared + 1 else 's01'}"
        county = COUNTIES[1 if shape.is_grouped and number > shape.schools - 2 else 0][0]
        vaults[name], row = _enrol(federation, name, operator, county, number)
        masters[name] = load_identity(vaults[name]).master
        rows.append(row)
    federation.roster_nodes = tuple(rows)
    federation.join()
    return Template(shape, federation, vaults, masters)


def _enrol(
    federation: TinyFederation, name: str, operator: str, county: str, number: int
) -> tuple[MemoryVault, RosterNode]:
    store, calls = MemoryVault(), iter(range(10_000))
    desk = VaultDesk(
        store,
        entropy=lambda size: fake_bytes(f"{name} {next(calls)}", size),
        now=lambda: START,
        level="L3",
        software=bytes(32),
    )
    fields: dict[str, object] = {"federation": FEDERATION, "node": name, "operator": operator}
    fields["attributes"] = {"county": county}
    if name == LOW_CAP_SCHOOL:
        fields["floors"] = {"rho_year": str(LOW_CAP)}
    desk.handle({"command": "init", **fields}, {})
    desk.handle({"command": "accept", "card_text": federation.card_text}, {})
    import_pupils(store, number)
    identity, _ = desk.handle({"command": "identity"}, {})
    row = RosterNode(
        name,
        identity["operator"],
        parse_vkey(identity["report_key"]),
        bytes.fromhex(identity["master"]),
        sorted_attributes(identity["attributes"]),
        (),
    )
    return store, row


def import_pupils(store: MemoryVault, shift: int, num: int = 4) -> None:
    """Store pupils; another shift or number gives other tables."""
    with store.transaction("import"):
        save_records(
            store,
            pupils(num + shift % 3, shift=shift),
            school_year="2026-2027",
            wave="A",
            census_date=CENSUS,
            provenance={"files": []},
            now=START,
        )


@lru_cache(maxsize=64)
def policy_of(template_shape: Shape) -> object:
    """The policy of every auditor of a shape."""
    return parse_auditor_policy(default_policy(template_of(template_shape).federation.card))

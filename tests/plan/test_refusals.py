"""What is not online's business is refused, all of it at once, with the reason and what to do instead."""

from __future__ import annotations

import pytest

from osc.plan.alter import parse_alter
from osc.plan.refusals import Reason


def reasons(text: str) -> list[Reason]:
    return [refusal.reason for refusal in parse_alter(text).refusals]


@pytest.mark.parametrize(
    "text",
    [
        "force", "engine=innodb", "engine 'InnoDB'", "engine=`INNODB`", "with validation", "without validation",
        "algorithm=default", "lock default", "tablespace ts", "encryption='Y'", "page_compressed=1", "engine_option=3",
        "alter column a set default 5", "alter a drop default", "alter column a set invisible",
        "alter index i invisible",
        "rename column a to b", "rename key a to b", "rename index a to b", "row_format=compressed key_block_size=8",
    ],
)  # fmt: skip
def test_what_can_be_done_online_is_not_refused(text: str) -> None:
    assert reasons(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rename to z", Reason.RENAME_TABLE),
        ("rename as z", Reason.RENAME_TABLE),
        ("rename = z", Reason.RENAME_TABLE),
        ("rename z", Reason.RENAME_TABLE),
        ("rename `column`", Reason.RENAME_TABLE),
        ("rename a.b", Reason.RENAME_TABLE),
        ("add foreign key (a) references p (id)", Reason.FOREIGN_KEY),
        ("add constraint f foreign key (a) references p (id)", Reason.FOREIGN_KEY),
        ("add constraint foreign key (a) references p (id)", Reason.FOREIGN_KEY),
        ("add (a int, foreign key (a) references p (id))", Reason.FOREIGN_KEY),
        ("drop foreign key f", Reason.FOREIGN_KEY),
        ("add a int references p (id)", Reason.INLINE_REFERENCES),
        ("modify a int not null references p (id) on delete cascade", Reason.INLINE_REFERENCES),
        ("add (a int references p (id))", Reason.INLINE_REFERENCES),
        *[
            (f"{what} partition p0", Reason.PARTITION_MAINTENANCE)
            for what in ("drop", "truncate", "coalesce", "reorganize", "exchange", "analyze", "check", "optimize",
                         "rebuild", "repair", "discard", "import", "convert")
        ],
        ("add partition (partition p1 values less than (9))", Reason.PARTITION_MAINTENANCE),
        ("add partition partitions 4", Reason.PARTITION_MAINTENANCE),
        ("convert table x to partition p", Reason.PARTITION_MAINTENANCE),
        ("discard tablespace", Reason.TABLESPACE_FILES),
        ("import tablespace", Reason.TABLESPACE_FILES),
        ("engine=MyISAM", Reason.OTHER_ENGINE),
        ("engine rocksdb", Reason.OTHER_ENGINE),
        ("add system versioning", Reason.SYSTEM_VERSIONING),
        ("drop system versioning", Reason.SYSTEM_VERSIONING),
        ("add a int with system versioning", Reason.SYSTEM_VERSIONING),
        ("add s timestamp(6) generated always as row start", Reason.SYSTEM_VERSIONING),
        ("add period for p (a, b)", Reason.PERIOD),
        ("drop period for p", Reason.PERIOD),
        ("disable keys", Reason.KEYS_SWITCH),
        ("enable keys", Reason.KEYS_SWITCH),
        ("order by a", Reason.ORDER_BY),
        ("algorithm=inplace", Reason.SERVERS_OWN_WAY),
        ("algorithm copy", Reason.SERVERS_OWN_WAY),
        ("lock=none", Reason.SERVERS_OWN_WAY),
        ("alter table t wait 5 force", Reason.SERVERS_OWN_WAY),
        ("alter table t nowait force", Reason.SERVERS_OWN_WAY),
        ("alter ignore table t add unique (a)", Reason.IGNORE),
        ("alter online ignore table t add unique (a)", Reason.IGNORE),
        ("secondary_load", Reason.SECONDARY_ENGINE),
        ("secondary_engine=rapid", Reason.SECONDARY_ENGINE),
        ("data directory='/x'", Reason.FILE_PLACE),
        ("index directory '/x'", Reason.FILE_PLACE),
        ("union=(a, b)", Reason.FOREIGN_STORAGE),
        ("insert_method last", Reason.FOREIGN_STORAGE),
        ("change t.a b int", Reason.QUALIFIED_COLUMN),
        ("modify t.a int", Reason.QUALIFIED_COLUMN),
    ],
)  # fmt: skip
def test_what_is_not_onlines_business_is_refused_with_a_reason(text: str, reason: Reason) -> None:
    assert reasons(text) == [reason]
    assert reasons(f"add x int /* , */, {text}" if not text.startswith("alter") else text) == [reason]


def test_every_refusal_is_listed_and_tells_what_to_do() -> None:
    read = parse_alter("alter ignore table t rename to u, add x int, engine=myisam lock=none, drop foreign key f")
    assert [(refusal.what, refusal.reason) for refusal in read.refusals] == [
        ("IGNORE", Reason.IGNORE),
        ("rename to u", Reason.RENAME_TABLE),
        ("engine=myisam", Reason.OTHER_ENGINE),
        ("lock=none", Reason.SERVERS_OWN_WAY),
        ("drop foreign key f", Reason.FOREIGN_KEY),
    ]
    assert all(refusal.why in str(refusal) and refusal.instead in str(refusal) for refusal in read.refusals)


def test_quoted_names_that_spell_keywords_are_not_refused() -> None:
    read = parse_alter(
        "add `references` int, drop `foreign`, rename column `to` to `partition`, modify `a` int comment 'references'"
    )
    assert read.refusals == ()

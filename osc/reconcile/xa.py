"""Which XA transactions are prepared, by the ids under which the tail knows them.

On MariaDB the barrier does not cover `XA COMMIT`: the event can arrive while the rows are still invisible. So after the
decision has been seen in the binlog, the keys stay held until the transaction has left `XA RECOVER`.
"""

from __future__ import annotations

import re

from osc.mysql.session import Conn


def prepared_xids(connection: Conn, is_mariadb: bool) -> frozenset[str]:
    """The ids of the prepared transactions, spelt as the tail spells them: `X'6162',X'63',1`."""
    with connection.cursor() as cursor:
        cursor.execute("xa recover format='SQL'" if is_mariadb else "xa recover convert xid")
        return frozenset(_spelt(int(row[0]), int(row[1]), str(row[3])) for row in cursor.fetchall())


def _spelt(format_id: int, gtrid_length: int, data: str) -> str:
    """`data` is as MySQL's `CONVERT XID` (`0x616263`) or MariaDB's `FORMAT='SQL'` has it, which may print text as text."""
    if not data.startswith("0x"):
        parts = re.findall(r"(X?)'((?:[^']|'')*)'", data)
        texts = [text.lower() if is_hex else text.replace("''", "'").encode().hex() for is_hex, text in parts]
        return f"X'{texts[0]}',X'{texts[1] if len(texts) > 1 else ''}',{format_id}"
    digits = data[2:].lower()
    return f"X'{digits[: gtrid_length * 2]}',X'{digits[gtrid_length * 2 :]}',{format_id}"

"""Going on in another server's binlog, after a failover: transactions keep their ids, places in files mean nothing there."""

from __future__ import annotations

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.tail.coordinate import Coordinate, binlog_files
from osc.tail.gtids import MariadbGtids


def continued(connection: Conn, server: Server, coordinate: Coordinate) -> Coordinate | str:
    """The same place in this server's binlog, or why there is none, as the end of a sentence.

    By id only. In the file it is as early as can be: a dump by ids passes over what the coordinate has.
    """
    if coordinate.gtid_set is None:
        return "its checkpoint knows the binlog by file and position only, which mean nothing on this one (no GTIDs)"
    missing = "its checkpoint has transactions that this one does not have, so it is no successor"
    with connection.cursor() as cursor:
        if server.is_mariadb:
            cursor.execute("select @@global.gtid_binlog_pos")
            row = cursor.fetchone()
            here = MariadbGtids.parse(str(row[0] if row else ""))
            if not here.includes(MariadbGtids.parse(coordinate.gtid_set)):
                return missing
        else:
            cursor.execute(
                "select gtid_subset(%s, @@global.gtid_executed), gtid_subset(@@global.gtid_purged, %s)",
                (coordinate.gtid_set, coordinate.gtid_set),
            )
            row = cursor.fetchone()
            if row is None or not row[0]:
                return missing
            if not row[1]:
                return "this one has purged transactions that the migration has not seen yet"
    return Coordinate(next(iter(binlog_files(connection))), 4, coordinate.gtid_set)

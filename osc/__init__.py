"""Online schema changes for MySQL and MariaDB: a ghost table, a tailed binlog, a verified and atomic swap."""

from __future__ import annotations

__version__ = "0.1.0"

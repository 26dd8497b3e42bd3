"""The swap: the original and the ghost change places, atomically, under a short lock.

`locked` for MySQL 8.0.13 and later, `sentry` for MariaDB; what both do under the lock is in `handover`, what may be in
their way in `blockers`, what is done beforehand in `prepare`, and when to try again in `cutover`.
"""

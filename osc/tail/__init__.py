"""The binlog: coordinates, the stream, taking keys out of events."""

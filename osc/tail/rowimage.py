"""Row events: past everything in a row image to the key's values, by a plan made once for each layout.

A layout is a table map's columns, the columns that an image carries and those of them that are NULL. What a layout fixes
is computed when it is first met, so that a row costs one look-up and one step for each length that is in its way.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

from osc.errors import MigrationFailed, TableChanged
from osc.table.key import Key, KeyColumn, KeyValue
from osc.tail.events import (
    COMPRESSED_ROWS,
    PARTIAL_UPDATE_ROWS,
    ROW_EVENTS,
    ROWS_WITH_EXTRA_DATA,
    UPDATE,
    WRITE,
    length_encoded,
)
from osc.tail.fields import JSON, METADATA_LENGTHS, Decoder, Field, decoder, field

PartialKey: TypeAlias = tuple[KeyValue | None, ...]
"""A key as one image has it; None where the image lacks the column."""


class TableMap:
    """The names and columns that a table map event announces for a table id."""

    __slots__ = ("fields", "table")

    def __init__(self, body: bytes, fraction_digits: Mapping[int, int] | None = None) -> None:
        """`fraction_digits`: by column, as the table has them. Raises ValueError for a column type that is not known."""
        digits = fraction_digits or {}
        self.table, at = table_of(body)
        count, at = length_encoded(body, at)
        types = body[at : at + count]
        size, at = length_encoded(body, at + count)
        end = at + size
        fields: list[Field] = []
        for index, type_ in enumerate(types):
            width = METADATA_LENGTHS.get(type_, 0)
            fields.append(field(type_, body[at : at + width], digits.get(index, 0)))
            at += width
        if at != end:
            raise ValueError(f"{size} bytes of column metadata where {size - (end - at)} were expected")
        self.fields = tuple(fields)


def table_of(body: bytes) -> tuple[tuple[str, str], int]:
    """Database and table that a table map event names, and where its names end."""
    start = 9
    middle = start + body[8]
    end = middle + 2 + body[middle + 1]
    return (body[start:middle].decode(), body[middle + 2 : end].decode()), end + 1


# A step of a plan: bytes to pass over; then either the width of a length, or 0 and the size of a value; the key's part
# that the value is, or -1; its decoder.
_Step: TypeAlias = tuple[int, int, int, int, Decoder | None]


class _Plan:
    """How to get through one layout of an image: the steps, and what is left to pass over behind the last one."""

    __slots__ = ("rest", "steps")

    def __init__(self, fields: Sequence[Field], decoders: Mapping[int, tuple[int, Decoder]]) -> None:
        steps: list[_Step] = []
        skip = 0
        for index, found in enumerate(fields):
            part, decode = decoders.get(index, (-1, None))
            size = found.fixed_size
            if size is not None and decode is None:
                skip += size
                continue
            steps.append((skip, found.length_width, size or 0, part, decode))
            skip = 0
        self.steps: Final = tuple(steps)
        self.rest: Final = skip


class _Layout:
    """The images that carry one set of columns; a plan for each combination of NULLs among them."""

    __slots__ = ("_decoders", "_fields", "_plans", "null_bytes", "width")

    def __init__(self, fields: Sequence[Field], present: bytes, decoders: Mapping[int, tuple[int, Decoder]]) -> None:
        carried = [index for index in range(len(fields)) if present[index >> 3] >> (index & 7) & 1]
        self._fields = [fields[index] for index in carried]
        self._decoders = {place: decoders[index] for place, index in enumerate(carried) if index in decoders}
        self.null_bytes = (len(carried) + 7) // 8
        self.width = len(decoders)
        self._plans: dict[bytes, _Plan] = {}

    def read(self, image: bytes, at: int) -> tuple[PartialKey, int]:
        """The key of the image at `at`, and where the image ends."""
        behind = at + self.null_bytes
        nulls = image[at:behind]
        plan = self._plans.get(nulls) or self._plan(nulls)
        at = behind
        values: list[KeyValue | None] = [None] * self.width
        for skip, length_width, size, part, decode in plan.steps:
            at += skip
            if length_width:
                size = image[at] if length_width == 1 else int.from_bytes(image[at : at + length_width], "little")
                at += length_width
            if decode is not None:
                values[part] = decode(image, at, at + size)
            at += size
        return tuple(values), at + plan.rest

    def _plan(self, nulls: bytes) -> _Plan:
        stored = [place for place in range(len(self._fields)) if not nulls[place >> 3] >> (place & 7) & 1]
        places = {place: number for number, place in enumerate(stored)}
        decoders = {places[place]: found for place, found in self._decoders.items() if place in places}
        plan = self._plans[nulls] = _Plan([self._fields[place] for place in stored], decoders)
        return plan


_Head: TypeAlias = tuple[_Layout, _Layout | None, int]
"""The layouts of the images of a row event, the second for an update only, and where the first image starts."""


class KeyReader:
    """Takes the keys out of the row events of one table, as one table map describes it."""

    def __init__(
        self,
        table_map: TableMap,
        key: Sequence[KeyColumn],
        defaults: Mapping[int, KeyValue] | None = None,
        column_count: int | None = None,
    ) -> None:
        """`defaults`: the literal default of a key's part. Raises TableChanged when the map does not fit the key."""
        database, table = table_map.table
        fields = table_map.fields
        self._title = f"{database}.{table}"
        self._defaults = dict(defaults or {})
        self._names = [column.name for column in key]
        self._fields = fields
        self._decoders: dict[int, tuple[int, Decoder]] = {}
        if column_count is not None and len(fields) < column_count:
            raise self._changed(f"{len(fields)} columns where there were {column_count}")
        for part, column in enumerate(key):
            if column.position >= len(fields):
                raise self._changed(f"no column {column.name} at position {column.position + 1}")
            decode = decoder(fields[column.position], column)
            if decode is None:
                raise self._changed(
                    f"type {fields[column.position].type} at position {column.position + 1}, where {column.name} is "
                    f"of type {column.data_type}"
                )
            self._decoders[column.position] = (part, decode)
        self._json_bytes = (sum(found.type == JSON for found in fields) + 7) // 8
        self._layouts: dict[bytes, _Layout] = {}
        self._heads: dict[tuple[int, bytes], _Head] = {}
        count, width = len(fields), (len(fields) + 7) // 8
        self._head_ends = {
            # The table id, flags, no extra data, the number of columns, and one or two sets of columns.
            type_: 8
            + (2 if type_ in ROWS_WITH_EXTRA_DATA else 0)
            + (1 if count < 251 else 3)
            + (2 * width if kind == UPDATE else width)
            for type_, kind in ROW_EVENTS.items()
        }

    def _changed(self, what: str) -> TableChanged:
        return TableChanged(
            f"the binlog has rows of {self._title} with {what}: another table has that name now, or its structure was "
            "changed. The original was not touched by this migration; what was copied is of no use any more"
        )

    def keys(self, type_: int, body: bytes) -> tuple[Collection[Key], int]:
        """The distinct keys that a row event names, both of an update, and the number of rows.

        Raises MigrationFailed when the row image lacks a part of the key.
        """
        pairs, rows = self.images(type_, body)
        keys: set[Key] = set()
        kind = ROW_EVENTS[type_]
        for before, after in pairs:
            if before is not None:
                keys.add(self._whole(before, before))
            if after is not None:
                keys.add(self._default(after) if kind == WRITE else self._whole(after, before or after))
        return keys, rows

    def images(self, type_: int, body: bytes) -> tuple[list[tuple[PartialKey | None, PartialKey | None]], int]:
        """Each row's key before and after, as far as the row images have it, and the number of rows."""
        kind = ROW_EVENTS[type_]
        usual = body[8 : self._head_ends[type_]]
        first, second, at = self._heads.get((type_, usual)) or self._head(type_, body)
        if type_ in COMPRESSED_ROWS:
            body, at = decompressed(body, at), 0
        end = len(body)
        found: list[tuple[PartialKey | None, PartialKey | None]] = []
        while at < end:
            image, at = first.read(body, at)
            if second is None:
                found.append((None, image) if kind == WRITE else (image, None))
                continue
            if type_ == PARTIAL_UPDATE_ROWS:
                options, at = length_encoded(body, at)
                at += self._json_bytes if options & 1 else 0
            after, at = second.read(body, at)
            found.append((image, after))
        if at != end:
            raise ValueError(f"the rows of a row event of {self._title} end {at - end} bytes behind the event")
        return found, len(found)

    def _head(self, type_: int, body: bytes) -> _Head:
        """The layouts of the images of a row event, and where the first one starts."""
        at = 8
        has_extra_data = type_ in ROWS_WITH_EXTRA_DATA
        if has_extra_data:
            at += int.from_bytes(body[at : at + 2], "little")
        count, at = length_encoded(body, at)
        if count != len(self._fields):
            raise ValueError(f"a row event of {count} columns behind a table map of {len(self._fields)}")
        width = (count + 7) // 8
        first = self._layout(body[at : at + width])
        at += width
        second: _Layout | None = None
        if ROW_EVENTS[type_] == UPDATE:
            second = self._layout(body[at : at + width])
            at += width
        head = (first, second, at)
        if at == self._head_ends[type_]:
            self._heads[type_, body[8:at]] = head
        return head

    def _layout(self, present: bytes) -> _Layout:
        layout = self._layouts.get(present)
        if layout is None:
            layout = self._layouts[present] = _Layout(self._fields, present, self._decoders)
        return layout

    def _whole(self, image: PartialKey, below: PartialKey) -> Key:
        """The key of `image`, with what it lacks taken from the image before it."""
        if None not in image:
            return image  # type: ignore[return-value]
        overlaid = (lower if value is None else value for value, lower in zip(image, below, strict=True))
        return tuple(self._missing(part) if value is None else value for part, value in enumerate(overlaid))

    def _default(self, image: PartialKey) -> Key:
        """The key of an inserted row, with what the image lacks taken from the columns' defaults."""
        if None not in image:
            return image  # type: ignore[return-value]
        completed = (self._defaults.get(part) if value is None else value for part, value in enumerate(image))
        return tuple(self._missing(part) if value is None else value for part, value in enumerate(completed))

    def _missing(self, part: int) -> KeyValue:
        raise MigrationFailed(
            f"a row event of {self._title} does not carry the key column {self._names[part]}, so nobody can say "
            "which row it changed. The original is intact. Set binlog_row_image=FULL, globally and in the "
            "sessions that write to the table, and start again"
        )


def decompressed(body: bytes, at: int) -> bytes:
    """What MariaDB's `log_bin_compress` wrote at `at`.

    That is a byte with the algorithm and the width of the length, the length, and a zlib stream. Raises ValueError for any
    other algorithm.
    """
    head = body[at]
    if head & 0xF0 != 0x80:
        raise ValueError(f"compression algorithm {head >> 4 & 7} is unknown")
    return zlib.decompress(body[at + 1 + (head & 7) :])
